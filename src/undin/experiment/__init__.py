"""A recipe's stages: mix, train, enhance, evaluate; each is done once, and again only when its dependencies change.

recipe.py    one TOML file -> Recipe: a section per stage, presets, changes
run.py       Run: a recipe at work in a folder; which stages are finished
leaks.py     voices and recordings that are learned from are not tested on
lock.py      one process at a time in that folder
mirror.py    that folder at a URL
mixtures.py  the stage of mixtures, and what the later stages read of it
variants.py  section [train] of networks: what each of them is trained with
train_nmf.py the training stage of NMF              train_net.py that of networks [train]
stages.py    enhance, evaluate                      talkers.py   enhance for several talkers: separate
looks.py     pictures of what a method computes inside
"""

from undin.experiment.recipe import Recipe, is_recipe, read_recipe, recipes
from undin.experiment.run import NEEDS, Run

__all__ = ["NEEDS", "Recipe", "Run", "is_recipe", "read_recipe", "recipes"]
