"""The receivers of a process: made as `observe` says, and made anew when a deploy says something else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flowlang import jsondata
from flowlang.engine.ports import Sealer, Store
from flowlang.errors import FlowError
from flowlang.expr import compile_value
from flowlang.handler.env import Secrets
from flowlang.plan import Manifest, Observe, OtlpReceiver, PosthogReceiver, SlackReceiver
from flowlang.worker.observing.letters import Letters
from flowlang.worker.observing.posting import Poster
from flowlang.worker.observing.receivers import AttemptSeen, RunSeen, otlp_traces, posthog_batch
from flowlang.worker.observing.sender import Sender
from flowlang.worker.secrets import SecretsView

log = logging.getLogger(__name__)

#: Pause between two looks for dead letters, seconds.
LOOK_S = 2.0

SLACK_API = "https://slack.com/api/chat.postMessage"


class Observers:
    """Tells the receivers of `observe` what happens. Nothing here raises or blocks.

    Args:
        store: Has dead letters.
        sealer: Opens them.
        secrets: What templates read as `secrets`.
        slack_api: Where messages with a token go.
    """

    def __init__(self, store: Store, sealer: Sealer, secrets: Secrets, *, slack_api: str = SLACK_API) -> None:
        self._store = store
        self._sealer = sealer
        self._secrets = secrets
        self._slack_api = slack_api
        self._http = Poster()
        self._lock = threading.Lock()
        self._now: tuple[str, Observe] = ("", Observe())
        self._spans: Sender | None = None
        self._outcomes: Sender | None = None
        self._messages: Sender | None = None
        self._looking: _Looking | None = None

    def configure(self, manifest: Manifest) -> None:
        """Go by a manifest from now on."""
        with self._lock:
            wanted = (manifest.project, manifest.observe or Observe())
            if wanted == self._now:
                return
            # Whoever calls this renews leases as well, and must not wait for receivers.
            threading.Thread(target=_end, args=(self._taken(),), daemon=True).start()
            self._now = wanted
            project, observe = wanted
            if observe.otlp is not None:
                self._spans = self._sender("otlp", self._otlp(project, observe.otlp, observe.env))
            if observe.posthog is not None:
                self._outcomes = self._sender("posthog", self._posthog(project, observe.posthog, observe.env))
            if observe.slack is not None:
                messages = self._messages = self._sender("slack", self._slack(observe.slack, observe.env), batch=1)
                letters = Letters(self._store, self._sealer, messages.put, messages.drop)
                self._looking = _Looking(letters, observe.slack)
                self._looking.start()

    @property
    def watches_attempts(self) -> bool:
        """Whether a receiver takes attempts."""
        return self._spans is not None

    def run_ended(self, seen: Callable[[], RunSeen]) -> None:
        """A run has ended, and the store has it; `seen` is asked only when somebody wants to know."""
        senders = [sender for sender in (self._spans, self._outcomes) if sender is not None]
        if senders:
            run = seen()
            for sender in senders:
                sender.put(run)

    def attempt_ended(self, seen: Callable[[], AttemptSeen]) -> None:
        """A handler has answered; `seen` is asked only when somebody wants to know."""
        sender = self._spans
        if sender is not None:
            sender.put(seen())

    def close(self) -> None:
        """Send what waits, as far as that goes in a moment, and end."""
        with self._lock:
            taken = self._taken()
        _end(taken)
        self._http.close()

    def _taken(self) -> list[_Looking | Sender]:
        """What is at work, which from now on is not told anything any more."""
        taken = [one for one in (self._looking, self._spans, self._outcomes, self._messages) if one is not None]
        self._looking = self._spans = self._outcomes = self._messages = None
        return taken

    def _sender(self, name: str, post: Callable[[Sequence[Any]], None], **how: Any) -> Sender:
        sender = Sender(name, post, redact=self._secrets.redact, **how)
        sender.start()
        return sender

    # Requests -------------------------------------------------------------------------------------------------------

    def _otlp(self, project: str, receiver: OtlpReceiver, env: Mapping[str, str]) -> Callable[[Sequence[Any]], None]:
        def post(seen: Sequence[Any]) -> None:
            url = self._filled(receiver.url, env).rstrip("/")
            headers = {name: self._filled(text, env) for name, text in receiver.headers.items()}
            self._http.post(
                url if url.endswith("/v1/traces") else f"{url}/v1/traces", otlp_traces(project, seen), headers
            )

        return post

    def _posthog(
        self, project: str, receiver: PosthogReceiver, env: Mapping[str, str]
    ) -> Callable[[Sequence[Any]], None]:
        def post(runs: Sequence[Any]) -> None:
            url = self._filled(receiver.url, env).rstrip("/")
            self._http.post(f"{url}/batch/", posthog_batch(project, self._filled(receiver.key, env), runs))

        return post

    def _slack(self, receiver: SlackReceiver, env: Mapping[str, str]) -> Callable[[Sequence[Any]], None]:
        def post(texts: Sequence[Any]) -> None:
            for text in texts:
                if receiver.webhook:
                    self._http.post(self._filled(receiver.webhook, env), {"text": text})
                    continue
                token = {"authorization": f"Bearer {self._filled(receiver.token, env)}"}
                channel = self._filled(receiver.channel, env)
                body = {"channel": channel, "text": text}
                answer = jsondata.loads(self._http.post(self._slack_api, body, token))
                if not answer.get("ok"):  # its refusals have the status 200
                    raise FlowError(f"Slack answers {answer.get('error')}")

        return post

    def _filled(self, text: str, env: Mapping[str, str]) -> str:
        filled = compile_value(text).evaluate({"secrets": SecretsView(self._secrets), "env": env})
        return str(filled)


def _end(taken: list[_Looking | Sender]) -> None:
    for one in taken:
        one.stop()


class _Looking:
    """The thread that looks for dead letters."""

    def __init__(self, letters: Letters, receiver: SlackReceiver) -> None:
        self._letters = letters
        self._receiver = receiver
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flowlang-letters", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(LOOK_S)

    def _run(self) -> None:
        while not self._ending.wait(LOOK_S):
            try:
                self._letters.look(self._receiver)
            except FlowError as error:
                log.warning("slack: cannot look for dead letters: %s", error)
            except Exception:
                log.exception("slack: looking for dead letters failed; it goes on")
