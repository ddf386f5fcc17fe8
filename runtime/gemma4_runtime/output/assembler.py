"""The stream assembler: sampled ids in, self-contained chunks out.

It strips stop tokens, splits channels, finds stop strings, holds what is not yet certain (the
start of a stop string, of a character, of a tool call) and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from gemma4_runtime.messages import (
    Channel,
    Chunk,
    ChunkDetails,
    FinishReason,
    GenerationRequest,
    Segment,
    ToolCall,
    TopLogProbs,
)
from gemma4_runtime.output.channels import ChannelSplitter, Event
from gemma4_runtime.output.stop import StopScanner
from gemma4_runtime.output.text_tokens import TextTokens
from gemma4_runtime.output.tool_calls import call_id
from gemma4_runtime.output.utf8 import unfinished_tail
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["StreamAssembler"]

_MOST_GUIDED = 256 << 10
"""Bytes of an answer that are checked against its guide; reading and validating as much JSON takes
about 0.1 s."""


class StreamAssembler:
    """One answer. Not thread-safe. ``prompt_tokens`` is only reported.

    Stop strings are looked for in the content channel alone: thoughts and tool calls are not
    text that the caller chose a stop string for.
    """

    def __init__(
        self, request: GenerationRequest, table: TokenTable, *, prompt_tokens: int
    ) -> None:
        sampling = request.sampling
        self._key, self._place = request.key, request.place
        self._stream = request.stream
        self._prompt_tokens = prompt_tokens
        self._stop_ids = frozenset(sampling.stop_token_ids)
        self._named_stops = frozenset(sampling.named_stop_ids)
        self._include_stop = sampling.include_stop
        self._scanner = StopScanner(sampling.stop) if sampling.stop else None
        self._splitter = ChannelSplitter(
            table, channel=request.channel, parse_tools=request.parse_tools
        )
        self._tails: dict[Channel, bytearray] = {"content": bytearray(), "reasoning": bytearray()}
        self._segments: list[Segment] = []
        self._calls: list[ToolCall] = []
        self._calls_made = 0
        self._one_call = request.one_call
        self._ids: list[int] = []
        self._log_probs: list[float] = []
        self._top_log_probs: list[TopLogProbs] = []
        self._sum = 0.0
        self._text_tokens = TextTokens() if sampling.log_probs else None
        self._guided = bytearray() if sampling.guided is not None else None
        self._special = table.special
        self.completion_tokens = 0
        self.complete = False
        """The model ended the answer by a control token of its own; no limit, no stop string and no
        token that the caller named did."""
        self.stop_reason: int | str | None = None
        """What the caller had named that ended the answer; see :class:`ChunkDetails`."""
        self.finish_reason: str = ""
        self.next_index = 0
        if request.echo:
            self._segments.append(Segment("content", request.echo.encode()))

    @property
    def done(self) -> bool:
        """The answer is complete; later ids are ignored."""
        return self.finish_reason != ""

    def push(
        self,
        ids: Sequence[int],
        log_probs: Sequence[float] | None = None,
        top: Sequence[TopLogProbs] | None = None,
    ) -> bool:
        """Take sampled ids. True when they ended the answer (a stop id or a stop string), so
        that the engine need not go on."""
        for position, token in enumerate(ids):
            if self.done:
                break
            self.completion_tokens += 1
            self._ids.append(token)
            if log_probs is not None:
                self._log_probs.append(log_probs[position])
                self._sum += log_probs[position]
            if top is not None:
                self._top_log_probs.append(top[position])
            if token in self._stop_ids:
                self._stop_at(token)
            else:
                self._apply(self._splitter.push(token))
        return self.done

    def _stop_at(self, token: int) -> None:
        if token in self._named_stops:
            self.stop_reason = token
        else:
            self.complete = token in self._special
        if self._include_stop:
            self._apply(self._splitter.push(token))
        self.finish("stop")

    def finish(self, reason: FinishReason) -> None:
        """Take note that the engine ended the answer. Held text becomes text, but not the call that
        "length" cut off."""
        if self.done:
            return
        self._apply(self._splitter.finish(cut=reason == "length"))
        if not self.done:
            self._close(reason)

    def guided_answer(self) -> bytes | None:
        """Return the content, to be checked against the guide; None without one, beyond
        :data:`_MOST_GUIDED`, and after calls, which came instead of it."""
        return None if self._guided is None or self._calls_made else bytes(self._guided)

    def pending(self) -> bool:
        """Return True when :meth:`take` would carry something for the client."""
        if not self._stream:
            return self.done
        return self.done or bool(self._segments or self._calls)

    def take(self, *, check: bool = False, timings: dict[str, float] | None = None) -> Chunk:
        """Take everything that is ready, as the next chunk; the last one when :attr:`done`."""
        chunk = Chunk(
            key=self._key,
            index=self.next_index,
            ids=self._ids,
            segments=_merged(self._segments),
            tool_calls=self._calls,
            finish_reason=self.finish_reason,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self.completion_tokens,
            log_probs=self._log_probs,
            cum_log_prob=self._sum,
            timings=timings,
            check=check,
            reasoning_tokens=self._splitter.reasoning_tokens,
            text_tokens=self._text_tokens.ready if self._text_tokens is not None else [],
            details=self._details(),
            place=self._place,
        )
        if self._text_tokens is not None:
            self._text_tokens.ready = []
        self.next_index += 1
        self._ids, self._segments, self._calls, self._log_probs = [], [], [], []
        return chunk

    def _details(self) -> ChunkDetails | None:
        if not self._top_log_probs and self.stop_reason is None:
            return None
        top, self._top_log_probs = self._top_log_probs, []
        return ChunkDetails(top, self.stop_reason)

    def _apply(self, events: list[Event]) -> None:
        for event in events:
            if self.done:
                return
            if event[0] == "call":
                self._divide()
                call = ToolCall(call_id(self._key, self._calls_made), event[1], event[2])
                self._calls.append(call)
                self._calls_made += 1
                if self._one_call:
                    self._close("stop")
                continue
            _, channel, data, number = event
            if channel == "content" and self._text_tokens is not None:
                self._text_tokens.add(number, len(data))
            if channel == "reasoning":
                self._divide()
            if channel == "content" and self._scanner is not None:
                self._scan(data, self._scanner)
            else:
                self._add(channel, data)

    def _divide(self) -> None:
        if self._text_tokens is not None:
            self._text_tokens.divide()

    def _scan(self, data: bytes, scanner: StopScanner) -> None:
        tail = self._tails["content"]
        found = scanner.feed(data)
        if found is None:
            tail += data
            self._release("content", hold=0 if self._include_stop else scanner.held)
            return
        end, word = found
        tail += data[:end]
        if not self._include_stop:
            del tail[len(tail) - len(word) :]
        self.stop_reason = word.decode()
        self._close("stop")

    def _add(self, channel: Channel, data: bytes) -> None:
        self._tails[channel] += data
        self._release(channel, hold=0)

    def _release(self, channel: Channel, *, hold: int) -> None:
        """Move bytes out, up to what must be held and never through a character."""
        tail = self._tails[channel]
        ready = len(tail) - hold
        ready -= unfinished_tail(tail[:ready])
        if ready > 0:
            self._show(channel, bytes(tail[:ready]))
            del tail[:ready]

    def _show(self, channel: Channel, data: bytes) -> None:
        self._segments.append(Segment(channel, data))
        if channel == "content" and self._guided is not None:
            self._guided += data
            if len(self._guided) > _MOST_GUIDED:
                self._guided = None
        if channel == "content" and self._text_tokens is not None:
            self._text_tokens.show(len(data))

    def _close(self, reason: FinishReason) -> None:
        for channel, tail in self._tails.items():
            if tail:
                self._show(channel, bytes(tail))
                tail.clear()
        if self._text_tokens is not None:
            self._text_tokens.end()
        self.finish_reason = "tool_calls" if reason == "stop" and self._calls_made else reason


def _merged(segments: list[Segment]) -> list[Segment]:
    """Return neighbors of one channel as one segment."""
    merged: list[Segment] = []
    for segment in segments:
        if merged and merged[-1].channel == segment.channel:
            merged[-1] = Segment(segment.channel, merged[-1].data + segment.data)
        else:
            merged.append(segment)
    return merged
