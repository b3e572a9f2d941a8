"""Quix Streams' RecoveryManager, reading changelogs many messages at a time."""

import logging

from quixstreams.kafka.consumer import raise_for_msg_error
from quixstreams.state.recovery import RecoveryManager as QuixRecoveryManager

__all__ = ("RecoveryManager",)

logger = logging.getLogger("quixstreams.state.recovery")

_BATCH_MESSAGES = 10_000
# The client waits for a full batch; so long, when the changelog has no more.
_BATCH_TIMEOUT = 0.2


class RecoveryManager(QuixRecoveryManager):
    def _recovery_loop(self) -> None:
        consumer = self._consumer
        while self.recovering:
            self._log_recovery_progress()
            messages = consumer.consume(_BATCH_MESSAGES, _BATCH_TIMEOUT)
            for message in messages:
                self._recover_from(raise_for_msg_error(message))
            if messages:
                consumer._broker_available()  # noqa: SLF001
            if len(messages) < _BATCH_MESSAGES:
                self._update_recovery_status()
            if self._broker_availability_timeout:
                consumer.raise_if_broker_unavailable(self._broker_availability_timeout)

    def _recover_from(self, message) -> None:
        changelogs = self._recovery_partitions.get(message.partition(), {})
        partition = changelogs.get(message.topic())
        if partition is not None:
            partition.recover_from_changelog_message(changelog_message=message)
        elif message.topic() in self._topic_manager.non_changelog_topics:
            self._rewind_data_partition(message)
        else:
            logger.debug(
                f'Skipping a message for "{message.topic()}[{message.partition()}]" '
                f"at offset {message.offset()}: not under recovery"
            )
