"""A SAM, SAM 2 or MedSAM from a local folder: a picture and prompts in, masks and the model's own belief out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OptionalDependency, SettingsError

if TYPE_CHECKING:
    import torch

#: What `model_type` of a folder's config.json says, to the class of transformers that reads it.
KINDS = {"sam": "SamModel", "sam2": "Sam2Model", "sam2_video": "Sam2Model"}

WHERE_FROM = (
    "Download a SAM once, where there is a network: 'hf download facebook/sam-vit-base --local-dir FOLDER' "
    "(SAM 2: facebook/sam2.1-hiera-small; MedSAM: wanglab/medsam-vit-base), and give that folder with --sam FOLDER"
)

#: Colour statistics that SAM and SAM 2 were trained with, for folders without preprocessor_config.json.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def check_folder(folder: str | None) -> Path:
    """The folder of a SAM, as far as that can be told without loading it.

    Raises:
        SettingsError: No folder is named.
        InputError: It holds no SAM that transformers can read, or pickled weights only.
        OptionalDependency: transformers is not installed.
    """
    if folder is None:
        raise SettingsError("The refiner 'sam' needs a folder with weights", fix=WHERE_FROM)
    path = Path(folder).expanduser()
    if path.is_file():
        raise InputError(
            "A folder in the format of transformers is needed, not a single file", file=path, fix=WHERE_FROM
        )
    if not (path / "config.json").is_file():
        why = "config.json is missing" if path.is_dir() else "it does not exist"
        raise InputError("There is no SAM in the folder", file=path, why=why, fix=WHERE_FROM)
    kind = _json(path / "config.json").get("model_type")
    if kind not in KINDS:
        raise InputError(
            "The folder holds another kind of model",
            file=path,
            why=f"its config.json says model_type {kind!r}, not one of {', '.join(KINDS)}",
            fix=WHERE_FROM,
        )
    if not any(path.glob("*.safetensors")):
        raise InputError(
            "The folder holds no model.safetensors",
            file=path,
            why="pickled weights (.bin, .pth) can run code when they are read",
            fix='If you trust them, convert them once: python -c "from transformers import SamModel as M; '
            "M.from_pretrained('FOLDER').save_pretrained('NEW')\"",
        )
    if find_spec("transformers") is None:
        raise OptionalDependency(
            "The refiner 'sam' needs transformers, which is not installed", fix="pip install 'annofree[sam]'"
        )
    return path


@dataclass(frozen=True, eq=False)
class SamNetwork:
    """A loaded model.

    Attributes:
        model: The module of transformers, in evaluation mode.
        size: Side in pixels of the square picture that it wants.
        mean: Of each colour, subtracted after scaling to 0..1.
        std: Of each colour.
        scale: Grey levels 0..255 are multiplied by this first.
    """

    model: Any
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scale: float

    def pixels(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        """A square grey picture (S, S), any S, as the model wants it, (1, 3, size, size) float32."""
        import torch
        from PIL import Image

        image = Image.fromarray(picture).resize((self.size, self.size), Image.Resampling.BILINEAR)
        grey = torch.from_numpy(np.array(image, dtype=np.float32)) * self.scale
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.mean, self.std))
        return ((grey.expand(3, -1, -1) - mean) / std)[None]

    def embed(self, picture: NDArray[np.uint8]) -> Any:
        """What the model remembers of a picture, (S, S) grey levels; the slow half, once a picture."""
        import torch

        with torch.inference_mode():
            return self.model.get_image_embeddings(self.pixels(picture).to(self.model.device))

    def ask(
        self, embedding: Any, boxes: NDArray[np.float32], points: NDArray[np.float32], positive: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Masks for prompts on what `embed` gave.

        Boxes (N, 4) are left, top, right, bottom, and points (N, P, 2) x and y, as shares of the picture's side;
        positive (N, P) says whether a point lies in the object. Returns (N, M, s, s) logits of M proposals over the
        whole picture, and (N, M) the IoU that the model expects.
        """
        import torch

        # The prompt encoders count from a pixel's corner and add half a pixel.
        corner, device = self.size, self.model.device
        with torch.inference_mode():
            out = self.model(
                image_embeddings=embedding,
                input_boxes=torch.from_numpy(boxes * corner - 0.5)[None].to(device),
                input_points=torch.from_numpy(points * corner - 0.5)[None].to(device),
                input_labels=torch.from_numpy(positive.astype(np.int64))[None].to(device),
                multimask_output=True,
            )
        return out.pred_masks[0].float().cpu().numpy(), out.iou_scores[0].float().cpu().numpy()


def load_sam(folder: str | None) -> SamNetwork:
    """The model in a folder; the last one is kept.

    Raises:
        SettingsError: No folder is named.
        InputError: It cannot be read.
        OptionalDependency: transformers is missing, or cannot load SAM.
    """
    path = check_folder(folder).resolve()
    return _load(path, (path / "config.json").stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _load(path: Path, changed: int) -> SamNetwork:
    import torch

    kind = KINDS[_json(path / "config.json")["model_type"]]
    try:
        import transformers

        cls = getattr(transformers, kind)
    except AttributeError:
        raise OptionalDependency(
            f"The installed transformers is too old for {kind}", fix="pip install --upgrade transformers"
        ) from None
    except Exception as error:  # an unfit torchvision breaks the import with errors of many kinds
        raise OptionalDependency(
            "transformers cannot load SAM",
            why=str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
            fix="Mostly a torchvision that does not fit torch: pip uninstall torchvision (SAM works without it)",
        ) from None
    chatter: Any = transformers.utils.logging  # what matters of its warnings is checked below
    chatter.disable_progress_bar()
    chatter.set_verbosity_error()
    try:
        model, info = cls.from_pretrained(
            path, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    except Exception as error:  # whatever a damaged folder makes transformers raise
        raise InputError("The SAM in the folder cannot be read", file=path, why=str(error).splitlines()[0]) from None
    if info["missing_keys"]:
        raise InputError(
            "The weights in the folder are not those of its config.json",
            file=path,
            why=f"{len(info['missing_keys'])} tensors are missing",
            fix=WHERE_FROM,
        )
    told = path / "preprocessor_config.json"
    wishes = _json(told) if told.is_file() else {}
    return SamNetwork(
        model=model.eval().to("cuda" if torch.cuda.is_available() else "cpu"),
        size=_image_size(model.config),
        mean=_triple(wishes.get("image_mean"), _MEAN) if wishes.get("do_normalize", True) else (0.0, 0.0, 0.0),
        std=_triple(wishes.get("image_std"), _STD) if wishes.get("do_normalize", True) else (1.0, 1.0, 1.0),
        scale=float(wishes.get("rescale_factor", 1 / 255)) if wishes.get("do_rescale", True) else 1.0,
    )


def _image_size(config: Any) -> int:
    """The side that the prompt encoder counts in, which is that of the picture."""
    size = config.prompt_encoder_config.image_size
    return int(size if isinstance(size, int) else size[0])


def _triple(values: Any, default: tuple[float, float, float]) -> tuple[float, float, float]:
    if values is None:
        return default
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("The file cannot be read", file=path, why=str(error)) from None
    return content if isinstance(content, dict) else {}
