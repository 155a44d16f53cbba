"""Learning networks with torch (`pip install "undin[train]"`): the only place that imports torch.

batch       what a network learns from          (B, n_samples) of noisy, speech and noise
stft        x <-> X in torch                    equals undin.spectrum, differentiable
nets        one file per network                mirrors undin.methods
losses      what is minimized                   differentiable and tested on known answers
options     how it is minimized                 every number of a run, checked; imports no torch
data        examples -> batches                 step s has the same ones in every run
fit         the run: slices, resume, best       callback, validation, snapshot, logs, processes: its parts
checkpoint  weights on their way                save_weights, load_weights: plain tensors, no code
export      checkpoint -> .onnx                 what undin.runner runs without torch
"""
