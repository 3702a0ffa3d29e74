"""MediaPipe's 478 points: which of them are iBUG's 68, what its triangles are, and how large the face is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COUNT = 478
FEATURES = (
    *((70, 46), (63, 53), (105, 52), (66, 65), (107, 55)),  # eyebrows: the middle of their upper and lower edges
    *((336, 285), (296, 295), (334, 282), (293, 283), (300, 276)),
    *(168, 197, 195, 4, 240, 97, 2, 326, 460),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
"""The vertices at iBUG's points 17 to 67; of two of them the middle."""
JAW = (
    (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    (356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
)
"""The mesh's rim from both temples to the chin: iBUG's points 0 to 16 are spaced evenly along it."""
SIDES = """
3:248 7:249 20:250 21:251 22:252 23:253 24:254 25:255 26:256 27:257 28:258 29:259 30:260 31:261 32:262 33:263
34:264 35:265 36:266 37:267 38:268 39:269 40:270 41:271 42:272 43:273 44:274 45:275 46:276 47:277 48:278 49:279
50:280 51:281 52:282 53:283 54:284 55:285 56:286 57:287 58:288 59:289 60:290 61:291 62:292 63:293 64:294 65:295
66:296 67:297 68:298 69:299 70:300 71:301 72:302 73:303 74:304 75:305 76:306 77:307 78:308 79:309 80:310 81:311
82:312 83:313 84:314 85:315 86:316 87:317 88:318 89:319 90:320 91:321 92:322 93:323 95:324 96:325 97:326 98:327
99:328 100:329 101:330 102:331 103:332 104:333 105:334 106:335 107:336 108:337 109:338 110:339 111:340 112:341
113:342 114:343 115:344 116:345 117:346 118:347 119:348 120:349 121:350 122:351 123:352 124:353 125:354 126:355
127:356 128:357 129:358 130:359 131:360 132:361 133:362 134:363 135:364 136:365 137:366 138:367 139:368 140:369
141:370 142:371 143:372 144:373 145:374 146:375 147:376 148:377 149:378 150:379 153:380 154:381 155:382 156:383
157:384 158:385 159:386 160:387 161:388 162:389 163:390 165:391 166:392 167:393 169:394 170:395 171:396 172:397
173:398 174:399 176:400 177:401 178:402 179:403 180:404 181:405 182:406 183:407 184:408 185:409 186:410 187:411
188:412 189:413 190:414 191:415 192:416 193:417 194:418 196:419 198:420 201:421 202:422 203:423 204:424 205:425
206:426 207:427 208:428 209:429 210:430 211:431 212:432 213:433 214:434 215:435 216:436 217:437 218:438 219:439
220:440 221:441 222:442 223:443 224:444 225:445 226:446 227:447 228:448 229:449 230:450 231:451 232:452 233:453
234:454 235:455 236:456 237:457 238:458 239:459 240:460 241:461 242:462 243:463 244:464 245:465 246:466 247:467
468:473 469:476 470:475 471:474 472:477
"""
"""Vertices that are each other's mirror images, the irises' included."""
IRISES = ((469, 471), (474, 476))
"""The two ends of each iris, across."""
IRIS_MM = 11.7
"""Width of a human iris, which hardly varies (by 0.5 mm): MediaPipe Iris (Ablavatski et al., 2020) measures with it."""
FIELD_OF_VIEW = np.deg2rad(63.0)
"""Vertical, of the camera that MediaPipe's own face geometry assumes."""


def triangles(edges: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """(F, 3) the triangles of a surface with a rim, whose directed sides are the edges, turned as these are.

    Three edges in a circle may also run around a triangle the other way, along its neighbours' sides. At the rim there
    is one way only, and from there on each triangle takes its sides from those that are left to its neighbours.

    Raises:
        ValueError: the edges are not those of such a surface.
    """
    left = set(edges)
    after: dict[int, list[int]] = {}
    for start, end in left:
        after.setdefault(start, []).append(end)
    found: set[tuple[int, int, int]] = set()
    waiting = sorted(left)
    while waiting:
        unclear = []
        for start, end in waiting:
            corners = [c for c in after[end] if {(start, end), (end, c), (c, start)} <= left]
            if len(corners) == 1:
                found.add((start, end, corners[0]))
                left -= {(start, end), (end, corners[0]), (corners[0], start)}
            elif corners:
                unclear.append((start, end))
        if len(unclear) == len(waiting):
            break
        waiting = unclear
    if left:
        raise ValueError(f"{len(left)} of {3 * len(found) + len(left)} edges are those of no triangle")
    turned = {t[k:] + t[:k] for t in found for k in [t.index(min(t))]}
    return np.array(sorted(turned), dtype=np.int64)


def partners() -> NDArray[np.int64]:
    """(478,) for each vertex the one on the other side of the face; itself on the middle line."""
    found = np.arange(COUNT)
    for pair in SIDES.split():
        one, other = map(int, pair.split(":"))
        found[one], found[other] = other, one
    return found


def landmarks(points: Floats) -> Floats:
    """(68, D) iBUG's points of (478, D) vertices, in the picture or in space."""
    sides = []
    for rim in JAW:
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points[list(rim)], axis=0), axis=1))])
        places = np.linspace(0.0, along[-1], 9)
        sides.append(np.column_stack([np.interp(places, along, values) for values in points[list(rim)].T]))
    rest = [points[list(v)].mean(axis=0) if isinstance(v, tuple) else points[v] for v in FEATURES]
    return np.concatenate([sides[0], sides[1][-2::-1], rest])


def intrinsics(width: int, height: int) -> Floats:
    """(3, 3) the assumed camera of a picture of that many pixels."""
    focal = height / (2 * np.tan(FIELD_OF_VIEW / 2))
    return np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])


def in_millimetres(points: Floats, camera: Floats) -> Floats:
    """Points in the camera's frame (x right, y down, z forward), by the width of the irises.

    Args:
        points: (478, 3) pixels, and depth in the same measure, relative to the head's middle.
        camera: (3, 3) intrinsics.

    Raises:
        ValueError: the irises have no width.
    """
    focal = (camera[0, 0] + camera[1, 1]) / 2
    widths = [float(np.linalg.norm(points[one] - points[other])) for one, other in IRISES]
    width = float(np.mean(widths))
    if not width > 0:
        raise ValueError("the irises have no width")
    per_pixel = IRIS_MM / width
    depths = focal * per_pixel + (points[:, 2] - points[list(sum(IRISES, ())), 2].mean()) * per_pixel
    rays = np.column_stack([points[:, :2], np.ones(len(points))]) @ np.linalg.inv(camera).T
    return np.asarray(rays * depths[:, None])
