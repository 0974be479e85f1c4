"""What the socket.io library is told about servers that have much to say."""

from engineio.payload import Payload

from launcher.session import v4_socket


def test_a_thousand_events_in_one_answer_to_a_poll_are_no_attack():
    assert v4_socket.NAMESPACE
    events = "\x1e".join(f'42/tasks,["new_task",{{"id":{number}}}]' for number in range(1000))
    assert len(Payload(encoded_payload=events).packets) == 1000
