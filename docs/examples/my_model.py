import torch


def build():
    model = torch.nn.Sequential(
        torch.nn.Linear(1024, 4096), torch.nn.GELU(), torch.nn.Linear(4096, 1024)
    )
    return model.half(), (torch.randn(64, 1024).half(),)
