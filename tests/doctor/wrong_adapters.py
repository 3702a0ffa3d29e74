"""A method that tells the truth about the doctor's people, and one that makes each of the field's usual mistakes."""

import os
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from harness import MethodAdapter, Prediction
from harness.doctor import exam
from harness.doctor.reading import OTHER_SIDE
from harness.heads.procedural import procedural_head
from harness.methods.deca.adapter import DecaAdapter

NOISE_MM = 0.3


class Truthful(MethodAdapter):
    """The true head with a little noise, in the world; ids of other samples get the mean face."""

    unit = "mm"

    def load(self, device):
        self.head = procedural_head()
        self.faces = self.head.faces.numpy()

    def predict(self, samples):
        return [self.answer(sample) for sample in samples]

    def answer(self, sample):
        turn, shift = exam.place()
        vertices, landmarks = self.face(sample, neutral=False)
        neutral = self.face(sample, neutral=True)
        return Prediction(
            vertices @ turn.T + shift,
            self.faces,
            landmarks @ turn.T + shift,
            neutral_vertices=neutral[0],
            neutral_landmarks=neutral[1],
            in_world_frame=True,
        )

    def face(self, sample, neutral):
        """Vertices and landmarks in the head's own frame."""
        _, seed, kind = sample.id.split("_") if sample.id.startswith("doctor_") else ("", "-1", "neutral")
        with torch.no_grad():
            if int(seed) < 0:
                vertices = self.head.template[None]
            else:
                codes = exam.codes(int(seed), self.head, expressive=kind == "expressive" and not neutral)
                vertices = self.head.vertices(*(torch.as_tensor(c, dtype=torch.float32)[None] for c in codes))
            landmarks = self.head.landmarks(vertices)[0].double().numpy()
        noise = np.random.default_rng(abs(int(seed))).normal(0, NOISE_MM, vertices[0].shape)
        return vertices[0].double().numpy() + noise, landmarks


class Changed(Truthful):
    """Every point of the answer goes through `move`."""

    def answer(self, sample):
        one = super().answer(sample)
        names = ("vertices", "landmarks", "neutral_vertices", "neutral_landmarks")
        return replace(one, **{name: self.move(getattr(one, name)) for name in names})


class MetresCalledMillimetres(Changed):
    def move(self, points):
        return points / 1000


class MillimetresCalledMetres(Truthful):
    unit = "m"


class CentimetresCalledMillimetres(Changed):
    def move(self, points):
        return points / 10


class FaceOnlyInMetresWithoutLandmarks(Truthful):
    def answer(self, sample):
        one = super().answer(sample)
        used, faces = np.unique(self.faces[cut(self.head, -30, 60)], return_inverse=True)
        return Prediction(one.vertices[used] / 1000, faces.reshape(-1, 3))


class TwiceTooLarge(Changed):
    def move(self, points):
        return points * 2.2


class MirroredX(Changed):
    def move(self, points):
        return points * [-1, 1, 1]


class YAndZExchanged(Changed):
    def move(self, points):
        return points[:, [0, 2, 1]]


class InsideOut(Truthful):
    def answer(self, sample):
        one = super().answer(sample)
        return replace(one, faces=one.faces[:, ::-1])


class HeadFrameCalledWorld(Truthful):
    """The head's own frame, 70 degrees from the world's."""

    def answer(self, sample):
        one = super().answer(sample)
        vertices, landmarks = self.face(sample, neutral=False)
        return replace(one, vertices=vertices, landmarks=landmarks)


class OpenGLCalledWorld(Changed):
    """y and z negated: a rotation, as every face of it is fine."""

    def move(self, points):
        return points * [1, -1, -1]


class OwnFrame(Truthful):
    """Turned upside down in a frame of its own, which is allowed."""

    def answer(self, sample):
        vertices, landmarks = self.face(sample, neutral=False)
        neutral = super().answer(sample)
        flip = np.array([1, -1, -1])
        return replace(neutral, vertices=vertices * flip, landmarks=landmarks * flip, in_world_frame=False)


class Projected(Truthful):
    """Says where the mesh is in the picture, rightly."""

    rows = np.eye(3)

    def answer(self, sample):
        one = super().answer(sample)
        camera = sample.views[0].camera
        if camera is None:
            return one
        pixels = camera.project(one.landmarks)
        return replace(one, in_world_frame=False, projection=self.rows @ camera.projection, landmarks_2d=pixels)


class PictureUpsideDown(Projected):
    rows = np.array([[1, 0, 0], [0, -1, exam.SIZE - 1], [0, 0, 1]])


class PixelsRowFirst(Projected):
    def answer(self, sample):
        one = super().answer(sample)
        return one if one.landmarks_2d is None else replace(one, landmarks_2d=one.landmarks_2d[:, ::-1])


class Reordered(Truthful):
    order = np.arange(68)

    def answer(self, sample):
        one = super().answer(sample)
        return replace(one, landmarks=one.landmarks[self.order], neutral_landmarks=one.neutral_landmarks[self.order])


class JawLast(Reordered):
    order = np.roll(np.arange(68), -17)


class ShuffledLandmarks(Reordered):
    order = np.random.default_rng(0).permutation(68)


class OneTooFar(Reordered):
    """Numbers from 1 taken for numbers from 0: each point is its neighbour's."""

    order = np.roll(np.arange(68), 1)


class SidesSwapped(Reordered):
    order = OTHER_SIDE


class LandmarksElsewhere(Truthful):
    """Landmarks of the head's frame with vertices of the world's."""

    def answer(self, sample):
        one = super().answer(sample)
        _, landmarks = self.face(sample, neutral=False)
        return replace(one, landmarks=landmarks, in_world_frame=False)


class ExpressionLeftOn(Truthful):
    def answer(self, sample):
        one = super().answer(sample)
        vertices, landmarks = self.face(sample, neutral=False)
        return replace(one, neutral_vertices=vertices, neutral_landmarks=landmarks)


class NoNeutral(Truthful):
    def answer(self, sample):
        return replace(super().answer(sample), neutral_vertices=None, neutral_landmarks=None)


def cut(head, low, high):
    """(F,) bool: triangles between heights over the tip of the nose, millimetres of the mean head."""
    height = head.template[:, 1].numpy() - float(head.landmarks(head.template[None])[0, 30, 1])
    return ((height > low) & (height < high))[head.faces.numpy()].all(1)


class NoChin(Truthful):
    low, high = -45, 1000

    def answer(self, sample):
        return replace(super().answer(sample), faces=self.faces[cut(self.head, self.low, self.high)])


class NoForehead(NoChin):
    low, high = -1000, 55


class VertexOrderChanges(Truthful):
    """Draws the order of the vertices anew in each call, and numbers triangles and points accordingly."""

    def load(self, device):
        super().load(device)
        self.rng = np.random.default_rng(0)

    def answer(self, sample):
        one = super().answer(sample)
        order = self.rng.permutation(len(one.vertices))
        return replace(
            one,
            vertices=one.vertices[order],
            neutral_vertices=one.neutral_vertices[order],
            faces=np.argsort(order)[one.faces],
        )


class TopologyPerPerson(Truthful):
    """Numbers the vertices by the sample: the same sample keeps its order, another one has another."""

    def answer(self, sample):
        one = super().answer(sample)
        order = np.random.default_rng(len(sample.id) + int(one.vertices[0, 0] * 1e4) % 97).permutation(
            len(one.vertices)
        )
        neutral = one.neutral_vertices[order]
        return replace(one, vertices=one.vertices[order], neutral_vertices=neutral, faces=np.argsort(order)[one.faces])


class Random(Truthful):
    def answer(self, sample):
        one = super().answer(sample)
        return replace(one, vertices=one.vertices + np.random.default_rng().normal(0, 0.5, one.vertices.shape))


class MeanOverTheBatch(Truthful):
    def predict(self, samples):
        answers = [self.answer(sample) for sample in samples]
        offset = np.mean([a.vertices for a in answers], axis=0) - answers[0].vertices
        return [replace(a, vertices=a.vertices + 0.1 * offset) for a in answers]


class Remembers(Truthful):
    """Smooths over the samples, as if they were the frames of one video."""

    def load(self, device):
        super().load(device)
        self.last = None

    def answer(self, sample):
        one = super().answer(sample)
        vertices = one.vertices if self.last is None else 0.7 * one.vertices + 0.3 * self.last
        self.last = vertices
        return replace(one, vertices=vertices)


class LoadsLate(Truthful):
    ready = False

    def answer(self, sample):
        if not self.ready:
            time.sleep(2.5)
            self.ready = True
        return super().answer(sample)


class Connects(Truthful):
    def load(self, device):
        super().load(device)
        with socket.socket() as connection:
            connection.settimeout(0.2)
            connection.connect_ex(("127.0.0.1", 9))


class Writes(Truthful):
    def answer(self, sample):
        Path("debug.txt").write_text(sample.id)
        return super().answer(sample)


class WritesThroughTheSystem(Truthful):
    def answer(self, sample):
        os.close(os.open("debug.bin", os.O_WRONLY | os.O_CREAT))
        return super().answer(sample)


class StartsPrograms(Truthful):
    def load(self, device):
        super().load(device)
        subprocess.run(["true"], check=True)


class Raises(Truthful):
    def answer(self, sample):
        raise ValueError("deliberate")


class Dies(Truthful):
    def answer(self, sample):
        os._exit(7)


class DoesNotLoad(Truthful):
    def load(self, device):
        raise RuntimeError("weights are gone")


class Busy(Connects, StartsPrograms, Writes, WritesThroughTheSystem):
    """Does all that a method should not do besides answering."""


class Deca(DecaAdapter):
    """A method with errors of its own, whose answers a subclass spoils."""

    def predict(self, samples):
        return [self.spoiled(answer) for answer in super().predict(samples)]


class DecaMirrored(Deca):
    def spoiled(self, one):
        names = ("vertices", "landmarks", "neutral_vertices", "neutral_landmarks")
        moved = {name: getattr(one, name) * [1, 1, -1] for name in names}
        return replace(one, **moved, projection=None)


class DecaSwapped(Deca):
    def spoiled(self, one):
        swapped = {name: getattr(one, name)[OTHER_SIDE] for name in ("landmarks", "neutral_landmarks")}
        return replace(one, **swapped)


class DecaJawLast(Deca):
    def spoiled(self, one):
        order = JawLast.order
        return replace(one, landmarks=one.landmarks[order], neutral_landmarks=one.neutral_landmarks[order])


class DecaInMillimetres(Deca):
    unit = "mm"

    def spoiled(self, one):
        return one


class DecaWithoutChin(Deca):
    def spoiled(self, one):
        return replace(one, faces=one.faces[cut(procedural_head(), NoChin.low, NoChin.high)])
