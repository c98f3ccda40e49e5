"""The autoencoder of captions: what it computes, that it learns to write sentences down again, and its decoder in NumPy."""

import itertools

import cub_networks
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from mmtf.data.cub import END, MAX_WORDS, UNKNOWN, Sentences
from mmtf.data.preparation import captions


@pytest.fixture(scope="module")
def model():
    """Not trained; words and biases drawn so that nothing is zero."""
    found = captions.Autoencoder(9, seed=3)
    rng = np.random.default_rng(0)
    for network in (found.encoder, found.decoder):
        network.set_weights([rng.normal(0, 0.3, w.shape).astype(np.float32) for w in network.get_weights()])
    return found


def grammar():
    """700 sentences of a small grammar, in random order."""
    parts = [("a", "the"), ("big", "small"), ("red", "blue", "green", "white", "brown"), ("bird", "crow"), ("with", "has")]
    ends = ("beak", "tail", "wings", "crown", "back")
    sentences = [[*words, end] for *words, end in itertools.product(*parts, ends)]
    sentences += [[*words, "and", other] for words in sentences for other in ends if other != words[-1]][:300]
    return [sentences[i] for i in np.random.default_rng(0).permutation(len(sentences))]


def test_words_are_lower_case_without_punctuation():
    assert captions.words("The bird's Long-ish BEAK, (of 2 cm) ,is\tr\u2019ed…") == (
        ["the", "bird's", "long", "ish", "beak", "of", "2", "cm", "is", "r'ed"]
    )
    assert captions.words("-- , .") == []


def test_the_vocabulary_has_what_occurs_often_enough_and_the_rest_is_unknown():
    known = captions.vocabulary([["b", "a", "b"], ["c", "a"]], min_count=2)
    assert known == ("", "<unknown>", "a", "b")
    found = captions.indices([["b", "c"], ["a"], ["<unknown>", "a", ""]], known)
    np.testing.assert_array_equal(found, [[3, UNKNOWN, END, END], [2, END, END, END], [UNKNOWN, 2, UNKNOWN, END]])
    long = captions.indices([["a"] * 99], known)
    assert long.shape == (1, MAX_WORDS + 1)
    assert (long[0, :-1] == 2).all()
    assert long[0, -1] == END


def test_features_are_the_maxima_of_convolutions_over_the_words(model):
    sentences = np.array([[4, 2, 7, 3, 5, 8, END], [6, END, END, END, END, END, END]], np.int32)
    vectors = model.encoder.get_layer("words").get_weights()[0]
    for sentence, found in zip(sentences, model.features(sentences), strict=True):
        count = (sentence != END).sum()
        padded = np.concatenate([vectors[sentence[:count]], np.zeros((8, vectors.shape[1]))])
        expected = []
        for width in captions.WIDTHS:
            kernel, bias = model.encoder.get_layer(f"width{width}").get_weights()
            windows = [np.einsum("te,tef->f", padded[t : t + width], kernel) + bias for t in range(count)]
            expected.append(np.tanh(np.max(windows, axis=0)))
        np.testing.assert_allclose(found, np.concatenate(expected), atol=2e-5)


def test_what_stands_behind_the_end_changes_nothing(model):
    short = np.array([[4, 2, END], [5, END, END]], np.int32)
    long = np.pad(short, [(0, 0), (0, 6)])
    np.testing.assert_allclose(model.encoder(short), model.encoder(long), atol=1e-6)
    np.testing.assert_allclose(model.model(short), model.model(long)[:, :3], atol=1e-5)
    nats = [captions.nats(tf.constant(s), model.model(s)) for s in (short, long)]
    np.testing.assert_allclose(*nats, rtol=1e-5)


def test_a_word_is_told_from_the_feature_and_the_words_before_it_only(model):
    sentences = np.array([[4, 2, 7, 3, END]], np.int32)
    feature = model.encoder(sentences)
    before = tf.constant([[END, 4, 2, 7, 3]])
    np.testing.assert_allclose(model.model(sentences), model.decoder([feature, before]), atol=1e-6)
    other = model.decoder([feature, tf.constant([[END, 4, 2, 8, 3]])]).numpy() - model.model(sentences).numpy()
    assert (np.abs(other).max(axis=(0, 2)) > 1e-4).tolist() == [False, False, False, True, True]


def test_the_loss_is_that_of_the_words_and_of_one_end():
    sentences = np.array([[3, 2, END, END], [1, END, END, END]], np.int32)
    logits = np.random.default_rng(1).normal(size=(2, 4, 5)).astype(np.float32)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = [-(log_p[0, 0, 3] + log_p[0, 1, 2] + log_p[0, 2, END]), -(log_p[1, 0, 1] + log_p[1, 1, END])]
    np.testing.assert_allclose(captions.nats(tf.constant(sentences, tf.float32), logits), expected, rtol=1e-6)
    np.testing.assert_array_equal(captions.counted(sentences), captions.counted(tf.constant(sentences)))


def test_the_decoder_in_numpy_is_that_of_keras(model):
    known = ("", "<unknown>", *"abcdefg")
    features = np.random.default_rng(2).normal(size=(5, captions.FEATURES)).astype(np.float32)
    sentences = Sentences(model.decoder_weights(), known)
    said = sentences.next_words(features)
    assert said.shape == (5, MAX_WORDS)
    assert len(np.unique(said)) > 3
    logits = model.decoder([features, np.pad(said[:, :-1], [(0, 0), (1, 0)]).astype(np.int32)]).numpy()
    logits[..., UNKNOWN] = -np.inf
    speaking = captions.counted(said)
    np.testing.assert_array_equal(logits.argmax(axis=-1)[speaking], said[speaking])
    assert (said[~speaking] == END).all()
    assert sentences(features) == [" ".join(known[w] for w in row if w) for row in said]


def test_a_sentence_ends_at_its_first_end(model):
    weights = model.decoder_weights()
    # Each word leads to the next one of the vocabulary, and the last to the end, whatever the feature.
    weights = {name: np.zeros_like(w) for name, w in weights.items()}
    weights["words/embeddings"][:, :9] = np.eye(9)
    units = captions.UNITS
    for word in range(9):
        weights["lstm/kernel"][word, 2 * units + word] = 50
    weights["lstm/bias"][:units], weights["lstm/bias"][units : 2 * units], weights["lstm/bias"][3 * units :] = 50, -50, 50
    follows = {0: 3, 3: 5, 5: 2, 2: 0}
    for word, after in follows.items():
        weights["next/kernel"][word, after] = 1
    features = np.ones((2, captions.FEATURES), np.float32)
    assert Sentences(weights, ("", "<unknown>", *"abcdefg"))(features) == ["b d a"] * 2


def test_batches_visit_every_caption_once_an_epoch_beside_others_of_its_length():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 20, 330)
    sentences = np.zeros((330, 21), np.int32)
    for i, (row, length) in enumerate(zip(sentences, lengths, strict=True)):
        row[:length] = i + 2
    batches = list(captions.shuffled(sentences, 10, 2, seed=1))
    assert len(batches) == 66
    first, second = ([b[:, 0] - 2 for b in batches[i : i + 33]] for i in (0, 33))
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.arange(330))
    assert (np.concatenate(first) != np.concatenate(second)).any()
    assert all(b.shape[1] == lengths[b[:, 0] - 2].max() + 1 for b in batches)
    # Two groups of 16 batches and one of a single batch: within the groups, neighbours in length.
    assert np.mean([np.ptp(lengths[rows]) for rows in first]) < 3
    again = list(captions.shuffled(sentences, 10, 2, seed=1))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def learned(sentences, num_words, epochs, seed=0):
    """The autoencoder after training."""
    found = captions.Autoencoder(num_words, seed=seed)
    found.train(sentences, epochs=epochs, seed=seed)
    return found


def check_learns(epochs, told, exact):
    """On 400 sentences of the grammar, what the other 300 come to: the words told, and whole sentences."""
    texts = grammar()
    known = captions.vocabulary(texts)
    sentences = captions.indices(texts, known)
    assert captions.Autoencoder(len(known), seed=0).accuracy(sentences[400:]) < 0.2
    model = learned(sentences[:400], len(known), epochs)
    assert model.accuracy(sentences[400:]) > told
    features = model.features(sentences[400:])
    assert np.abs(features).max() <= 1
    found = captions.report(Sentences(model.decoder_weights(), known), features, texts[400:], shown=3)
    assert found["exact_sentences"] > exact
    assert [e["caption"] for e in found["examples"]] == [" ".join(texts[i]) for i in (400, 549, 699)]


def test_it_learns_to_write_down_sentences_it_has_not_seen(monkeypatch):
    """With few units, at a rate that suits them."""
    cub_networks.shrink(monkeypatch)
    monkeypatch.setattr(captions, "BATCH_SIZE", 20)
    monkeypatch.setattr(captions, "LEARNING_RATE", 6e-3)
    check_learns(epochs=10, told=0.97, exact=0.8)


@pytest.mark.slow
def test_in_its_own_size_it_learns_to_write_down_sentences_it_has_not_seen():
    check_learns(epochs=25, told=0.97, exact=0.8)


def test_the_seed_decides_everything(monkeypatch):
    cub_networks.shrink(monkeypatch)
    texts = grammar()[:80]
    known = captions.vocabulary(texts, 1)
    sentences = captions.indices(texts, known)
    with eagerly():
        fresh = [captions.Autoencoder(len(known), seed=seed).features(sentences) for seed in (1, 2)]
        models = [learned(sentences, len(known), epochs=2, seed=1) for _ in range(2)]
        found = [model.features(sentences) for model in models]
    assert np.abs(fresh[0] - fresh[1]).max() > 0.02
    assert np.abs(found[0] - fresh[0]).max() > 1e-4
    np.testing.assert_array_equal(*found)
    for one, other in zip(*(model.decoder.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)
