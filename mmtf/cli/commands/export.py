"""Exports a trained run for serving: mmtf export --run_dir=runs/first --export_dir=saved_models/first"""

from absl import flags

from mmtf.cli import console

RUN_DIR = flags.DEFINE_string("run_dir", None, "Directory of the run.", required=True)
EXPORT_DIR = flags.DEFINE_string("export_dir", None, "Directory that gets the next version of the model.", required=True)
TFLITE = flags.DEFINE_bool("tflite", False, "Also write TensorFlow Lite files of the encoders and decoders.")
CHECKPOINT = flags.DEFINE_string("checkpoint", "latest", "latest, best (of --validation_examples), or a step.")


def main(argv):
    console.refuse_arguments(argv)
    console.load_tensorflow()
    from mmtf.verbs.export import export

    path = export(RUN_DIR.value, EXPORT_DIR.value, CHECKPOINT.value, tflite=TFLITE.value)
    print(f"Exported to {path}. Look at it: saved_model_cli show --dir {path} --tag_set serve")


if __name__ == "__main__":
    console.run(main)
