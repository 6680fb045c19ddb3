"""A local language model as a second reader, checked word by word. Off unless the user names a folder or a server.

The model proposes findings as JSON, each with the exact words it was read from. Nothing it says counts without
them: words that do not stand in the text, regions the lexicon does not have, sides that no word near them states
and findings that the rules read as denied are taken out, and the report is flagged. No text leaves the machine
other than to the server the user named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from annofree.errors import InputError
from annofree.extras import explained
from annofree.reports.assembly import assemble
from annofree.reports.findings import Certainty, Finding, Place, Reading, Sentence, Side, Span
from annofree.reports.lexicon import Lexicon
from annofree.reports.rules import read_report
from annofree.reports.scope import certainty_of
from annofree.reports.sizes import sizes_in
from annofree.settings import Settings


class LanguageModelSettings(Settings):
    """Where the model is and how it is asked.

    Attributes:
        model: folder of a transformers model, or address of a server that speaks the OpenAI chat form (llama.cpp, vLLM,
            Ollama), such as http://127.0.0.1:8080.
        name: the model's name on the server.
        timeout_s: how long one report may take.
        max_tokens: longest answer.
    """

    model: str
    name: str = "local"
    timeout_s: float = 120.0
    max_tokens: int = 2000


class Asker(Protocol):
    """Anything that answers a prompt with text."""

    def __call__(self, prompt: str) -> str:
        """The model's answer."""


def schema(lexicon: Lexicon) -> dict[str, Any]:
    """The JSON schema of an answer: findings with quotes, kinds and regions from the lexicon."""
    quote = {"type": "string", "minLength": 1}
    sides = [side.value for side in Side] + [None]
    place = _record(quote=quote, region={"enum": sorted(lexicon.regions)}, side={"enum": sides})
    finding = _record(
        quote=quote,
        kind={"enum": sorted(lexicon.roles)},
        certainty={"enum": [certainty.value for certainty in Certainty]},
        places={"type": "array", "items": place},
    )
    return _record(findings={"type": "array", "items": finding})


def _record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


class LanguageModelReader:
    """Reads reports with a local language model, checked by the rules.

    `asker` replaces the connection, for a model that is already loaded.
    """

    def __init__(
        self, settings: LanguageModelSettings, lexicon: Lexicon | None = None, asker: Asker | None = None
    ) -> None:
        self.settings = settings
        self.lexicon = lexicon or Lexicon.load()
        self.schema = schema(self.lexicon)
        self._ask = asker or self._connect()

    def read(self, text: str, id: str = "") -> Reading:
        """Read one report. An answer that is no JSON falls back to the rules, with the flag "language model failed".

        Raises:
            InputError: the server cannot be reached.
        """
        by_rules = read_report(text, id, self.lexicon)
        try:
            proposals = _parse(self._ask(self._prompt(text)))
        except ValueError:
            return replace(by_rules, flags=(*by_rules.flags, "language model failed"))
        findings, dropped = [], 0
        for proposal in proposals:
            finding = self._checked(proposal, text, by_rules)
            if finding is None:
                dropped += 1
            else:
                findings.append(finding)
        findings.sort(key=lambda finding: finding.span.start)
        name = f"{self.settings.name}, checked by rules"
        reading = assemble(id, text, by_rules.language, by_rules.sentences, tuple(findings), self.lexicon, name)
        flags = list(reading.flags)
        if dropped:
            flags.append("model findings dropped")
        if (reading.side, reading.tumour is Certainty.ABSENT) != (by_rules.side, by_rules.tumour is Certainty.ABSENT):
            flags.append("model and rules disagree")
        return replace(reading, flags=tuple(flags))

    def _checked(self, proposal: Any, text: str, by_rules: Reading) -> Finding | None:
        """The finding, or None when its words, kind or sentence do not stand up."""
        if not isinstance(proposal, dict) or proposal.get("kind") not in self.lexicon.roles:
            return None
        span = _find(text, proposal.get("quote"))
        if span is None:
            return None
        inside = (i for i, s in enumerate(by_rules.sentences) if s.span.start <= span.start < s.span.end)
        if (located := next(inside, None)) is None:
            return None
        sentence = by_rules.sentences[located]
        kind = str(proposal["kind"])
        items = self.lexicon.scan(text[sentence.span.start : sentence.span.end])
        items = [
            replace(item, start=item.start + sentence.span.start, end=item.end + sentence.span.start) for item in items
        ]
        triggers = [
            item
            for item in items
            if item.category == "kind" and item.key == kind and item.start < span.end and item.end > span.start
        ]
        if not triggers:
            return None
        claimed = proposal.get("certainty")
        certainty = Certainty(claimed) if claimed in list(Certainty) else Certainty.POSSIBLE
        ruled, cues = certainty_of(text, triggers[0], items)
        if ruled.weight < certainty.weight:
            certainty = ruled
        same = next((f for f in by_rules.findings if f.span.start == triggers[0].start), None)
        proposed = proposal.get("places")
        checked = [
            self._place(place, text, sentence, items) for place in (proposed if isinstance(proposed, list) else [])
        ]
        sizes = sizes_in(text, sentence.span.start, sentence.span.end)
        role = self.lexicon.roles[kind]
        return Finding(
            kind=kind,
            role=role,
            certainty=certainty,
            span=Span(triggers[0].start, triggers[0].end),
            sentence=located,
            section=sentence.section,
            places=tuple(place for place in checked if place is not None),
            size=same.size if same else next(iter(sizes), None) if role in ("tumour", "lesion") else None,
            anaphora=same.anaphora if same else False,
            another=same.another if same else False,
            extends=same.extends if same else False,
            historical=same.historical if same else not sentence.section.speaks_of_today,
            outside=same.outside if same else False,
            explained=same.explained if same else None,
            cues=tuple(cues),
        )

    def _place(self, place: Any, text: str, sentence: Sentence, items: Sequence[Any]) -> Place | None:
        """The place, when its quote names its region in this sentence; its side only when the sentence states it."""
        if not isinstance(place, dict) or place.get("region") not in self.lexicon.regions:
            return None
        span = _find(text, place.get("quote"), sentence.span)
        if span is None:
            return None
        region = str(place["region"])
        named = [
            item for item in items if item.category == "region" and item.start < span.end and item.end > span.start
        ]
        if not any(region in item.regions for item in named):
            return None
        claimed = place.get("side")
        side = Side(claimed) if claimed in [s.value for s in Side] else None
        stated = {item.key for item in items if item.category in ("side", "direction")}
        midline = self.lexicon.regions[region].midline
        both = side is Side.BILATERAL and {"left", "right"} <= stated
        if side is not None and side.value not in stated and not both and not (midline and side is Side.MIDLINE):
            side = None
        return Place(region, side, side is not None, "brain", span)

    def _prompt(self, text: str) -> str:
        return (
            "Extract every finding of this radiology report as JSON. Each `quote` must be copied letter by letter "
            "from the report: the words that name the finding, or the region. A side is the side of the lesion, never "
            'the direction of a midline shift. Denied findings have the certainty "absent". Answer with JSON only, in '
            "this schema:\n"
            f"{json.dumps(self.schema)}\n\nReport:\n{text}\n\nJSON:\n"
        )

    def _connect(self) -> Asker:
        if re.match(r"https?://", self.settings.model):
            return _Server(self.settings, self.schema)
        folder = Path(self.settings.model)
        if not folder.is_dir():
            raise InputError(
                "the language model is neither a folder nor an http address",
                file=folder,
                fix="name a folder with a transformers model, or a server such as http://127.0.0.1:8080",
            )
        return _Folder(self.settings)


@dataclass(frozen=True)
class _Server:
    settings: LanguageModelSettings
    schema: dict[str, Any]

    def __call__(self, prompt: str) -> str:
        import urllib.request

        body = {
            "model": self.settings.name,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": self.settings.max_tokens,
            "response_format": {"type": "json_schema", "json_schema": {"name": "findings", "schema": self.schema}},
        }
        address = self.settings.model.rstrip("/").removesuffix("/v1") + "/v1/chat/completions"
        request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # reports never pass through a proxy
        try:
            with opener.open(request, timeout=self.settings.timeout_s) as answer:
                content = json.loads(answer.read())
        except OSError as error:
            raise InputError(
                f"the language model at {self.settings.model} does not answer",
                why=str(getattr(error, "reason", error)),
                fix="start it, or leave it out",
            ) from error
        try:
            return str(content["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError):
            raise ValueError("the server's answer has no message") from None


class _Folder:
    def __init__(self, settings: LanguageModelSettings) -> None:
        with explained("A language model in a folder"):
            from transformers import AutoModelForCausalLM, AutoTokenizer
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(settings.model, **local)
            self._model: Any = AutoModelForCausalLM.from_pretrained(settings.model, use_safetensors=True, **local)
        except (OSError, ValueError) as error:
            raise InputError("the language model cannot be loaded", file=settings.model, why=str(error)) from error
        self._settings = settings

    def __call__(self, prompt: str) -> str:
        import torch

        if self._tokenizer.chat_template:
            prompt = self._tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
        tokens = self._tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            answer = self._model.generate(**tokens, max_new_tokens=self._settings.max_tokens, do_sample=False)
        return str(self._tokenizer.decode(answer[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True))


def _parse(answer: str) -> list[Any]:
    """The findings of an answer, with or without words and fences around the JSON.

    Raises:
        ValueError: there is no such JSON in it.
    """
    start, end = answer.find("{"), answer.rfind("}")
    content = json.loads(answer[start : end + 1]) if start >= 0 else None
    findings = content.get("findings") if isinstance(content, dict) else None
    if not isinstance(findings, list):
        raise ValueError("no findings in the answer")
    return findings


def _find(text: str, quote: Any, within: Span | None = None) -> Span | None:
    """Where a quote stands in the text, runs of white space counting as one; None when it does not."""
    if not isinstance(quote, str) or not quote.strip():
        return None
    pattern = r"\s+".join(re.escape(word) for word in quote.split())
    first, last = (within.start, within.end) if within else (0, len(text))
    match = re.compile(pattern, re.IGNORECASE).search(text, first, last)
    return Span(match.start(), match.end()) if match else None
