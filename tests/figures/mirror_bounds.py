"""Between which values a method can be on the H3DS mirror: `python -m tests.figures.mirror_bounds`.

For each subject, under `h3ds_surface`: the score of the true head (what is left is scanner noise, and hair and clothes
that no face model has) and that of the mean face.
"""

import numpy as np

from harness import Prediction
from harness.datasets.h3ds import H3ds
from harness.datasets.h3ds_mirror import FIRST_SEED, subject_id
from harness.fallback import mean_face
from harness.heads.procedural import procedural_head
from harness.protocols.h3ds_surface import H3dsSurface
from harness.synthesis.subject import random_subject


def main() -> None:
    head, protocol = procedural_head(), H3dsSurface()
    data = H3ds("mirror", "", 1)
    rows = []
    for index, sample in enumerate(data.samples()):
        person = random_subject(FIRST_SEED + index, head, expression=False)
        assert subject_id(FIRST_SEED + index) == sample.subject
        true_head = Prediction(person.vertices, head.faces.numpy(), person.landmarks)
        scores = [protocol.score(prediction, data.truth(sample)).values for prediction in (true_head, mean_face())]
        rows.append([score[region] for region in ("face", "head") for score in scores])
        print(sample.subject, *(f"{value:8.3f}" for value in rows[-1]), flush=True)
    print("mean            ", *(f"{value:8.3f}" for value in np.mean(rows, axis=0)))
    print("columns: face true, face mean_face, head true, head mean_face (mm)")


if __name__ == "__main__":
    main()
