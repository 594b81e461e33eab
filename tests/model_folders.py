"""Model folders that differ from the shipped one in a line of their description."""

import re
import shutil
from pathlib import Path

from agent import inference, model_toml

_NEEDED = (inference.GRAPH_FILE, inference.BRAIN_FILE, model_toml.FILE_NAME)


def changed(folder: Path, *, residual: str | None = None, **values: str) -> Path:
    """The shipped model in another folder, with other words for some keys of its description.

    `residual` is the weight of the first map: with another one the model is another model.
    """
    folder.mkdir()
    for name in _NEEDED:
        shutil.copyfile(inference.default_folder() / name, folder / name)
    file = folder / model_toml.FILE_NAME
    text = file.read_text(encoding="utf-8")
    lines = {key: f'"{value}"' for key, value in values.items()}
    for key, value in (lines | ({} if residual is None else {"residual": residual})).items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text, count=1)
    file.write_text(text, encoding="utf-8")
    return folder
