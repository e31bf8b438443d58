"""The board: each kind once per tick, and only what was declared is shown."""

from __future__ import annotations

import dataclasses
import typing

import pytest
import torch

from agent.core.board import Board, BoardInbox, peek
from agent.core.errors import BoardError
from agent.core.messages import Action, Message, Percept, Plan, Task

TASK = Task(torch.zeros(1, 2))
ACTION = Action(torch.zeros(1, 2))


def test_what_is_posted_is_read_and_turns_into_the_past() -> None:
    board = Board()
    inbox = BoardInbox(board, "hand", (Task,), (Task,))
    assert inbox.last(Task) is None
    board.post(TASK, "the task")
    assert inbox[Task] is TASK
    assert inbox.last(Task) is None
    board.turn()
    assert inbox.last(Task) is TASK
    with pytest.raises(BoardError, match="hand reads Task, but nobody posted it this tick"):
        inbox[Task]
    board.clear()
    assert inbox.last(Task) is None


def test_a_kind_is_posted_once() -> None:
    board = Board()
    board.post(TASK, "the task")
    with pytest.raises(BoardError, match="hand posted Task a second time in one tick"):
        board.post(TASK, "hand")
    board.turn()
    board.post(TASK, "the task")


def test_what_was_not_declared_is_refused_and_the_remedy_named() -> None:
    board = Board()
    board.post(TASK, "the task")
    board.post(ACTION, "gate")
    inbox = BoardInbox(board, "hand", (Plan,), (Percept, Action))
    with pytest.raises(BoardError) as caught:
        inbox[Task]
    assert str(caught.value) == "hand asked for Task but reads only Plan; add it to hand.reads"
    with pytest.raises(BoardError) as caught:
        inbox[Action]
    assert str(caught.value) == "hand asked for Action but reads only Plan; add it to hand.reads"
    with pytest.raises(BoardError) as caught:
        inbox.last(Plan)
    assert (
        str(caught.value)
        == "hand asked for Plan but recalls only Action, Percept; add it to hand.recalls"
    )
    with pytest.raises(BoardError, match="reads only nothing"):
        BoardInbox(board, "hand", (), ())[Task]


def test_peeking_gives_a_copy() -> None:
    board = Board()
    board.post(TASK, "the task")
    seen = peek(board)
    board.turn()
    assert seen == {Task: TASK}


@pytest.mark.parametrize("kind", typing.get_args(Message))
def test_messages_cannot_be_changed(kind: type) -> None:
    fields = [f.name for f in dataclasses.fields(kind)]
    message = kind(**dict.fromkeys(fields))
    for name in fields:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(message, name, 1)
    with pytest.raises((AttributeError, TypeError)):
        message.extra = 1
    assert not hasattr(message, "__dict__")
