"""Pre-training and fine-tuning on the Hugging Face Trainer.

In order: `recipes` has the numbers of each way to train, `devices` what the hardware can do, `preparation` makes data
ready, `checkpoints` are whole or passed over, `trainer` is the pre-training loop, `progress` what a person sees of it,
`pretraining` a run from text to a model folder with its `model_card`. `models` are loaded for a task, `prediction` is
what they give, `task_runs` a grid and its seeds, `finetuning` all tasks.
"""
