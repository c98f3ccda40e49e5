"""What TensorBoard's own readers find in a folder of runs."""

import tensorflow as tf
from tensorboard.backend.event_processing import data_provider, event_accumulator, plugin_event_multiplexer
from tensorboard.plugins import base_plugin


def context(folder):
    """What TensorBoard gives a plugin that shows the folder."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance={"tensors": 0})
    multiplexer.AddRunsFromDirectory(str(folder)).Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    return base_plugin.TBContext(data_provider=provider, logdir=str(folder), multiplexer=multiplexer, assets_zip_provider=None)


def summaries(logs, kind):
    """By name, the last tensor of a plugin's summaries and the steps of all of them."""
    found = event_accumulator.EventAccumulator(str(logs), size_guidance={event_accumulator.TENSORS: 0}).Reload()
    names = [n for n in found.Tags()["tensors"] if found.SummaryMetadata(n).plugin_data.plugin_name == kind]
    return {n: (tf.make_ndarray(found.Tensors(n)[-1].tensor_proto), [e.step for e in found.Tensors(n)]) for n in names}
