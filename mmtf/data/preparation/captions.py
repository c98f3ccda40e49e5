"""Caption features, `[n, 1024]`: those of a word-level CNN-LSTM autoencoder trained here, as in [C] (Pu et al. 2016).

[C] gives no sizes. The network is that of Gan et al. 2017 (arXiv 1611.07897): word vectors, convolutions of several widths
along the words, tanh, the maximum over the sentence; and an LSTM that starts from the feature and sees it at every word.
Departures: widths 2 to 5 of 256 filters each, which make 1024; the feature comes to the LSTM's gates as 128 numbers, and also
sets its memory; no dropout. `mmtf.data.cub.Sentences` is the decoder in NumPy, which writes sentences.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from mmtf.data.cub import END, MAX_WORDS, UNKNOWN, Sentences
from mmtf.data.preparation import training
from mmtf.networks import layers

FEATURES = 1024
WIDTHS = (2, 3, 4, 5)
EMBEDDING, CONDITION, UNITS = 128, 128, 256
BATCH_SIZE = 64
LEARNING_RATE = 2e-3
MIN_COUNT = 5
# Captions of about the same length go into a batch together; batches are cut from groups of this many.
SORTED_BATCHES = 16
ENCODED_AT_ONCE = 500
# What nothing can be the maximum of, yet a finite number for tanh.
NEVER = -1e9
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words(caption: str) -> list[str]:
    """Return the words of a caption in lower case, without punctuation: "Bird's long-ish beak." -> bird's, long, ish, beak."""
    return WORD.findall(caption.lower().replace("\u2019", "'"))


def vocabulary(sentences: Sequence[Sequence[str]], min_count: int = MIN_COUNT) -> tuple[str, ...]:
    """The end of a sentence (""), "<unknown>", and in alphabetical order the words that occur `min_count` times or more."""
    counts = collections.Counter(word for sentence in sentences for word in sentence)
    return ("", "<unknown>", *sorted(word for word, count in counts.items() if count >= min_count))


def indices(sentences: Sequence[Sequence[str]], known: Sequence[str]) -> np.ndarray:
    """Return places in the vocabulary of the first 40 words of each sentence, END behind them: int32 `[n, 1 + most words]`."""
    index = {word: place for place, word in enumerate(known) if place > UNKNOWN}
    places = np.full((len(sentences), 1 + min(MAX_WORDS, max(map(len, sentences)))), END, np.int32)
    for row, sentence in zip(places, sentences, strict=True):
        row[: min(len(sentence), MAX_WORDS)] = [index.get(word, UNKNOWN) for word in sentence[:MAX_WORDS]]
    return places


class Autoencoder:
    """The autoencoder's two halves, around one table of word vectors.

    Attributes:
      encoder: words int32 `[B, T]` -> features `[B, 1024]`, in -1..1.
      decoder: features `[B, 1024]` and the words before each word `[B, T]` -> logits of each word `[B, T, V]`.
      model: words `[B, T]` -> logits `[B, T, V]`, each word told from the feature and the true words before it.
    """

    def __init__(self, num_words: int, *, seed: int = 0):
        draw = layers.seeds(seed)
        vectors = keras.layers.Embedding(
            num_words, EMBEDDING, embeddings_initializer=keras.initializers.RandomUniform(seed=next(draw)), name="words"
        )
        self.encoder = _encoder(vectors, draw)
        self.decoder = _decoder(vectors, num_words, draw)
        sentence = keras.Input((None,), dtype="int32")
        before = ops.pad(sentence[:, :-1], [[0, 0], [1, 0]], constant_values=END)
        self.model = keras.Model(sentence, self.decoder([self.encoder(sentence), before]), name="captions")

    def train(self, sentences: np.ndarray, epochs: int, *, seed: int = 0) -> None:
        """Train with teacher forcing on the cross-entropy of the words and the end, in nats per caption."""
        batch = min(BATCH_SIZE, len(sentences))
        signature = tf.TensorSpec([batch, None], tf.int32)
        batches = tf.data.Dataset.from_generator(lambda: shuffled(sentences, batch, epochs, seed), output_signature=signature)
        batches = batches.map(lambda each: (each, each)).prefetch(4)
        training.train(self.model, batches, epochs, len(sentences) // batch, LEARNING_RATE, nats, "captions")

    def features(self, sentences: np.ndarray) -> np.ndarray:
        """Return features of words `[n, T]`: float32 `[n, 1024]`."""
        features = np.empty((len(sentences), FEATURES), np.float32)
        for rows, part in _by_length(sentences):
            features[rows] = self.encoder.predict_on_batch(part)
        return features

    def accuracy(self, sentences: np.ndarray) -> float:
        """Share of the words and ends of `[n, T]` that are likeliest, given the feature and the true words before them."""
        right = total = 0
        for _, part in _by_length(sentences):
            count = counted(part)
            right += np.sum((self.model.predict_on_batch(part).argmax(axis=-1) == part) & count)
            total += np.sum(count)
        return float(right / total)

    def decoder_weights(self) -> dict[str, np.ndarray]:
        """Return the decoder's weights by layer and name, as `mmtf.data.cub.Sentences` takes them."""
        return {f"{layer.name}/{w.name}": w.numpy() for layer in self.decoder.layers for w in layer.weights}


def report(sentences: Sentences, features: np.ndarray, texts: Sequence[Sequence[str]], shown: int = 8) -> dict:
    """Return how many sentences the decoder writes down again from their features, word by word, and some of them.

    Args:
      features: `[n, 1024]` of the texts. texts: the words of n sentences.
    """
    rebuilt = sentences(features)
    said = [" ".join(text) for text in texts]
    rows = np.linspace(0, len(said) - 1, min(shown, len(said))).astype(int)
    return {
        "exact_sentences": float(np.mean([a == b for a, b in zip(said, rebuilt, strict=True)])),
        "examples": [{"caption": said[row], "rebuilt": rebuilt[row]} for row in rows],
    }


def nats(sentences: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return cross-entropy of the words and of the end, summed over a caption: `[B]`."""
    # Keras hands over targets as floats.
    sentences = tf.cast(sentences, tf.int32)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(sentences, logits)
    return tf.reduce_sum(tf.where(counted(sentences), each, 0.0), axis=1)


def counted(sentences):
    """Which places of `[B, T]` hold a word or the first end: those whose predecessor is a word. An array or a tensor."""
    if isinstance(sentences, np.ndarray):
        return np.pad(sentences[:, :-1] != END, [(0, 0), (1, 0)], constant_values=True)
    return tf.pad(sentences[:, :-1] != END, [[0, 0], [1, 0]], constant_values=True)


def shuffled(sentences: np.ndarray, batch: int, epochs: int, seed: int) -> Iterator[np.ndarray]:
    """Batches `[batch, T]` of captions of about the same length, T - 1 the words of the longest; each epoch in a new order."""
    rng, length = np.random.default_rng(seed), (sentences != END).sum(axis=1)
    for _ in range(epochs):
        order = rng.permutation(len(sentences))[: len(sentences) // batch * batch]
        groups = [order[i : i + batch * SORTED_BATCHES] for i in range(0, len(order), batch * SORTED_BATCHES)]
        rows = np.concatenate([group[np.argsort(length[group], kind="stable")] for group in groups]).reshape(-1, batch)
        for each in rng.permutation(rows):
            yield sentences[each, : length[each].max() + 1]


def _by_length(sentences: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and their sentences, cut behind the end of the longest."""
    length = (sentences != END).sum(axis=1)
    order = np.argsort(length, kind="stable")
    for start in range(0, len(order), ENCODED_AT_ONCE):
        rows = order[start : start + ENCODED_AT_ONCE]
        yield rows, sentences[rows, : length[rows].max() + 1]


def _encoder(vectors: keras.layers.Layer, draw: Iterator[int]) -> keras.Model:
    sentence = keras.Input((None,), dtype="int32")
    is_word = ops.cast(ops.not_equal(sentence, END), "float32")[..., None]
    # Zeros behind the sentence: a window may reach over its end, but has to begin at a word.
    x = vectors(sentence) * is_word
    maxima = []
    for width in WIDTHS:
        init = keras.initializers.GlorotUniform(next(draw))
        convolution = keras.layers.Conv1D(FEATURES // len(WIDTHS), width, kernel_initializer=init, name=f"width{width}")
        windows = convolution(ops.pad(x, [[0, 0], [0, width - 1], [0, 0]]))
        maxima.append(ops.max(windows + (1 - is_word) * NEVER, axis=1))
    # tanh is monotonic: of the maximum it is the maximum of the tanh.
    return keras.Model(sentence, ops.tanh(ops.concatenate(maxima, axis=-1)), name="caption_encoder")


def _decoder(vectors: keras.layers.Layer, num_words: int, draw: Iterator[int]) -> keras.Model:
    feature, before = keras.Input((FEATURES,)), keras.Input((None,), dtype="int32")

    def dense(units, name, **options):
        return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(next(draw)), name=name, **options)

    x = vectors(before)
    condition = dense(CONDITION, "condition")(feature)[:, None] + ops.zeros_like(x[..., :1])
    lstm = keras.layers.LSTM(
        UNITS,
        return_sequences=True,
        kernel_initializer=keras.initializers.GlorotUniform(next(draw)),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(draw)),
        name="lstm",
    )
    state = [dense(UNITS, "hidden", activation="tanh")(feature), dense(UNITS, "memory")(feature)]
    hidden = lstm(ops.concatenate([x, condition], axis=-1), initial_state=state)
    return keras.Model([feature, before], dense(num_words, "next")(hidden), name="caption_decoder")
