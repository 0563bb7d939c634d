"""Pre-training and fine-tuning on the Hugging Face Trainer.

In order: `recipes` has the numbers of each way to train, `devices` what the hardware can do, `batches` how large each
step's is, `rows` the text as examples, `initial_weights` where a model begins, `preparation` makes all of it ready,
`checkpoints` are whole or passed over, `muon` is an optimizer, `trainer` the pre-training loop, `progress` what a
person sees of it, `pretraining` a run from text to a model folder with its `model_card`. `models` are loaded for a
task, `prediction` is what they give, `task_runs` a grid and its seeds, `finetuning` all tasks.
"""
