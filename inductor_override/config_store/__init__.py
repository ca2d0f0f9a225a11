"""Where Inductor's config keeps its values, which changed from release to release.

===========  ==================================================  ======================
torch        where a value is kept                               upstream
===========  ==================================================  ======================
2.0 - 2.5    `plain_dicts`: in a dict
2.6 - 2.11   `entries`: in one `_ConfigEntry` for each option    pytorch/pytorch#138758
2.12         `context_entries`: there, but one for each thread   pytorch/pytorch#173568
2.13 on      and each thread keeps the whole config as dicts     pytorch/pytorch#181159
===========  ==================================================  ======================
"""
