"""A language model may only say what stands in the report; the server here is a tiny one that answers from a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from annofree.errors import InputError
from annofree.reports import Certainty, Side
from annofree.reports.language_model import LanguageModelReader, LanguageModelSettings

TEXT = "A glioma is seen in the left frontal lobe. No hemorrhage. Midline shift to the right."


def finding(quote: str, kind: str, certainty: str = "present", *places: tuple[str, str, str | None]) -> dict[str, Any]:
    shown = [{"quote": q, "region": region, "side": side} for q, region, side in places]
    return {"quote": quote, "kind": kind, "certainty": certainty, "places": shown}


GLIOMA = finding("glioma", "tumour", "present", ("left frontal lobe", "frontal", "left"))


def reader(*findings: Any) -> LanguageModelReader:
    answer = "Here it is:\n```json\n" + json.dumps({"findings": list(findings)}) + "\n```"
    return LanguageModelReader(LanguageModelSettings(model="unused"), asker=lambda prompt: answer)


def test_true_words_are_kept_with_their_characters() -> None:
    reading = reader(GLIOMA, finding("hemorrhage", "haemorrhage", "absent")).read(TEXT, "p")
    assert reading.side is Side.LEFT
    assert reading.regions == ("frontal",)
    assert [f.span.of(TEXT) for f in reading.findings] == ["glioma", "hemorrhage"]
    assert reading.flags == ()
    assert "rules" in reading.reader


@pytest.mark.parametrize(
    "invented",
    [
        finding("meningioma", "tumour"),  # words that do not stand in the text
        finding("Midline", "tumour"),  # words that do not name it
        finding("glioma", "dragon"),
        finding("", "tumour"),
        {"kind": "tumour"},
        "glioma",
        None,
    ],
)
def test_invented_findings_are_dropped_and_flagged(invented: Any) -> None:
    reading = reader(GLIOMA, invented).read(TEXT)
    assert len(reading.findings) == 1
    assert reading.flags == ("model findings dropped",)


def test_invented_side_and_region_do_not_count() -> None:
    wrong = finding("glioma", "tumour", "present", ("left frontal lobe", "frontal", "right"))
    reading = reader(wrong).read(TEXT)
    assert reading.side is None
    assert "model and rules disagree" in reading.flags
    elsewhere = finding(
        "glioma", "tumour", "present", ("left frontal lobe", "temporal", "left"), ("x", "frontal", "left")
    )
    assert reader(elsewhere).read(TEXT).regions == ()


def test_denied_finding_stays_denied() -> None:
    reading = reader(finding("hemorrhage", "haemorrhage", "present")).read(TEXT)
    assert reading.findings[0].certainty is Certainty.ABSENT


@pytest.mark.parametrize("answer", ["", "I cannot help.", "{", '{"findings": 3}', "[]"])
def test_answer_without_json_falls_back_to_the_rules(answer: str) -> None:
    reading = LanguageModelReader(LanguageModelSettings(model="unused"), asker=lambda prompt: answer).read(TEXT)
    assert reading.side is Side.LEFT
    assert reading.reader == "rules"
    assert "language model failed" in reading.flags


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            content = json.dumps({"choices": [{"message": {"content": json.dumps({"findings": [GLIOMA]})}}]}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}", asked
    http.shutdown()
    http.server_close()


def test_local_server_is_asked_with_the_schema(
    server: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a report must never travel through a proxy
    address, asked = server
    reading = LanguageModelReader(LanguageModelSettings(model=address)).read(TEXT, "p")
    assert reading.side is Side.LEFT
    assert TEXT in asked[0]["messages"][0]["content"]
    assert asked[0]["response_format"]["json_schema"]["schema"]["required"] == ["findings"]


def test_absent_server_and_folder_are_one_sentence() -> None:
    with pytest.raises(InputError, match="does not answer"):
        LanguageModelReader(LanguageModelSettings(model="http://127.0.0.1:9", timeout_s=2)).read(TEXT)
    with pytest.raises(InputError, match="neither a folder"):
        LanguageModelReader(LanguageModelSettings(model="/no/such/model"))


def test_model_in_a_folder_is_loaded_from_safetensors(tmp_path: Path) -> None:
    """A random model says nothing of use: the rules' reading comes back, flagged. No pickle is loaded."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"<unk>": 0, "<end>": 1, "the": 2, "left": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<end>")
    fast.save_pretrained(tmp_path)
    shape = {"vocab_size": 4, "n_positions": 2048, "n_embd": 8, "n_layer": 1, "n_head": 2, "eos_token_id": 1}
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)).save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    reading = LanguageModelReader(LanguageModelSettings(model=str(tmp_path), max_tokens=5)).read(TEXT)
    assert reading.side is Side.LEFT
    assert "language model failed" in reading.flags
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be loaded"):
        LanguageModelReader(LanguageModelSettings(model=str(tmp_path)))
