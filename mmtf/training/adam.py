"""Adam as its paper has it: epsilon is added after the bias correction.

Keras adds it before, where 1e-7 is no small number beside the gradients of a game's first steps. With the same epsilon this is
PyTorch's Adam, with which both papers' releases train.
"""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable("mmtf")
class Adam(keras.optimizers.Adam):
    """theta <- theta - rate * m' / (sqrt(v') + epsilon), with m' = m / (1 - beta_1^t) and v' = v / (1 - beta_2^t).

    [Kingma, Ba 2015] algorithm 1. Keras' own Adam computes what the paper calls epsilon-hat: at step t this one's epsilon is
    its epsilon / sqrt(1 - beta_2^t).

    Args:
      learning_rate: a number or a schedule.
      beta_1, beta_2: decay of the means of the gradients and of their squares.
      epsilon: added to the root of the corrected mean square.
      kwargs: as every Keras optimizer takes them, such as `clipnorm`.
    """

    def __init__(self, learning_rate=1e-3, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, **kwargs):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        if self.amsgrad:
            raise ValueError("This Adam has no amsgrad; leave it out, or compile with keras.optimizers.Adam(amsgrad=True).")

    def update_step(self, gradient, variable, learning_rate):
        rate, gradient = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        place = self._get_variable_index(variable)
        mean, square = self._momentums[place], self._velocities[place]
        self.assign_add(mean, (gradient - mean) * (1.0 - self.beta_1))
        self.assign_add(square, (ops.square(gradient) - square) * (1.0 - self.beta_2))
        correction = ops.sqrt(1.0 - ops.power(ops.cast(self.beta_2, variable.dtype), step))
        size = rate * correction / (1.0 - ops.power(ops.cast(self.beta_1, variable.dtype), step))
        self.assign_sub(variable, size * mean / (ops.sqrt(square) + self.epsilon * correction))
