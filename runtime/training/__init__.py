"""Pre-training and fine-tuning on the Hugging Face Trainer.

In order: `recipes` has the numbers of each way to train, `devices` what the hardware can do, `checkpoints` folders that
are whole or passed over, `trainer` the pre-training loop, `progress` what a person sees of it, `pretraining` a run from
sources of text to a model folder with its `model_card`, `finetuning` grids and seeds over tasks.
"""
