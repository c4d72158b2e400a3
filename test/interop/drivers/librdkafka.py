# librdkafka through its Python wheel: one scenario against one broker. Exit code 0 means that it passed.
# Usage: librdkafka.py ADDRESS SCENARIO NAME (NAME makes topics and groups of this run its own).
# KAFKA_CONNECTION is JSON: the properties that a secured broker asks for.
import json
import os
import sys
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

address, scenario, name = sys.argv[1:4]
WAIT_S = 40


CONNECTION = {"bootstrap.servers": address, **json.loads(os.environ.get("KAFKA_CONNECTION", "{}"))}
ADMIN = AdminClient(dict(CONNECTION))


def create(topic, partitions=1, config=None):
    futures = ADMIN.create_topics([NewTopic(topic, partitions, 1, config=config or {})], operation_timeout=10)
    futures[topic].result()


def producer(**more):
    return Producer({**CONNECTION, **{key.replace("_", "."): value for key, value in more.items()}})


def consumer(group, **more):
    config = {**CONNECTION, "group.id": group, "auto.offset.reset": "earliest", "session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    config.update({key.replace("_", "."): value for key, value in more.items()})
    if config.get("group.protocol") == "consumer":  # the broker says how long a session is
        del config["session.timeout.ms"], config["heartbeat.interval.ms"]
    return Consumer(config)


def send(topic, values, partitions=None, **config):
    sender = producer(**config)
    failures = []
    for at, value in enumerate(values):
        sender.produce(topic, value=str(value), partition=-1 if partitions is None else at % partitions, callback=lambda error, _: error and failures.append(error))
        sender.poll(0)
    left = sender.flush(WAIT_S)
    check(left == 0 and not failures, f"{left} records not sent, {failures[:1]}")


def check(right, words):
    if not right:
        raise AssertionError(words)


def until(what, words):
    end = time.monotonic() + WAIT_S
    while not what():
        check(time.monotonic() < end, f"waited {WAIT_S} s: {words()}")
        time.sleep(0.02)


def read(reader, count):
    got = []
    end = time.monotonic() + WAIT_S
    while len(got) < count:
        check(time.monotonic() < end, f"read {len(got)} of {count}")
        message = reader.poll(0.2)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        got.append(message.value().decode())
    return got


class Member(threading.Thread):
    """A group member that reads in a thread of its own until it is told to leave."""

    def __init__(self, group, topics, **config):
        super().__init__(daemon=True)
        self.values, self.mine, self.error, self.stopping = [], set(), None, False
        self.rebalances = 0
        self.reader = consumer(group, **config)
        self.reader.subscribe(topics, on_assign=self.assigned, on_revoke=self.revoked)
        self.start()

    def assigned(self, reader, partitions):
        self.rebalances += 1
        self.mine |= {(one.topic, one.partition) for one in partitions}

    def revoked(self, reader, partitions):
        self.mine -= {(one.topic, one.partition) for one in partitions}

    def run(self):
        try:
            while not self.stopping:
                message = self.reader.poll(0.1)
                if message is not None and message.error() is None:
                    self.values.append(message.value().decode())
            self.reader.close()
        except Exception as error:  # shown by whoever waits for this member
            self.error = error

    def leave(self):
        self.stopping = True
        self.join(WAIT_S)
        check(not self.is_alive() and self.error is None, f"a member did not leave: {self.error}")


def topics():
    create(name, 3, {"retention.ms": "3600000"})
    found = ADMIN.list_topics(timeout=10).topics[name]
    check(len(found.partitions) == 3, f"{len(found.partitions)} partitions")
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    configs = ADMIN.describe_configs([resource])[resource].result()
    check(configs["retention.ms"].value == "3600000", configs["retention.ms"].value)
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, set_config={"retention.ms": "7200000"})
    ADMIN.alter_configs([resource])[resource].result()
    ADMIN.create_partitions([NewPartitions(name, 5)])[name].result()
    check(len(ADMIN.list_topics(timeout=10).topics[name].partitions) == 5, "the topic did not grow")
    try:
        create(name)
        raise AssertionError("a topic was created twice")
    except KafkaException as error:
        check(error.args[0].name() == "TOPIC_ALREADY_EXISTS", error)
    ADMIN.delete_topics([name], operation_timeout=10)[name].result()
    check(name not in ADMIN.list_topics(timeout=10).topics, "the topic is still there")


def compression(codec):
    create(name)
    values = [f"{at} {'x' * 200}" for at in range(2000)]
    send(name, values, compression_type=codec, enable_idempotence=True, linger_ms=50)
    reader = consumer(f"{name}-g")
    reader.subscribe([name])
    check(read(reader, len(values)) == values, "other values came back")
    reader.close()


def groups(**config):
    create(name, 6)
    send(name, range(60), 6)
    one = Member(f"{name}-g", [name], **config)
    until(lambda: len(one.mine) == 6 and len(one.values) == 60, lambda: f"one has {one.mine}, {len(one.values)} values, {one.error}")
    two = Member(f"{name}-g", [name], **config)
    until(lambda: len(one.mine) == 3 and len(two.mine) == 3, lambda: f"one has {one.mine}, two has {two.mine}, {one.error}, {two.error}")
    check(not one.mine & two.mine, "a partition has two owners")
    send(name, range(60, 120), 6)
    until(lambda: len(one.values) + len(two.values) >= 120, lambda: f"{len(one.values)} and {len(two.values)} values")
    two.leave()
    until(lambda: len(one.mine) == 6, lambda: f"one has {one.mine} after the other left")
    send(name, range(120, 180), 6)
    until(lambda: len(one.values) + len(two.values) >= 180, lambda: f"{len(one.values)} and {len(two.values)} values")
    one.leave()
    check(sorted(map(int, one.values + two.values)) == list(range(180)), "a value was lost or read twice")


def static_members():
    create(name, 4)
    config = {"session_timeout_ms": 30000, "partition_assignment_strategy": "range"}
    one = Member(f"{name}-g", [name], group_instance_id="one", **config)
    until(lambda: len(one.mine) == 4, lambda: f"one has {one.mine}, {one.error}")
    two = Member(f"{name}-g", [name], group_instance_id="two", **config)
    until(lambda: len(one.mine) == 2 and len(two.mine) == 2, lambda: f"{one.mine} {two.mine}")
    had, seen = set(two.mine), one.rebalances
    two.leave()  # a static member does not say goodbye
    again = Member(f"{name}-g", [name], group_instance_id="two", **config)
    until(lambda: again.mine == had, lambda: f"came back to {again.mine}, had {had}")
    check(one.rebalances == seen, "the other member was rebalanced")
    again.leave()
    one.leave()


def transactions():
    create(name)
    sender = producer(transactional_id=f"{name}-tx")
    sender.init_transactions(WAIT_S)
    for ending in ["commit", "abort", "commit"]:
        sender.begin_transaction()
        for at in range(10):
            sender.produce(name, value=f"{ending} {at}")
        sender.flush(WAIT_S)
        (sender.commit_transaction if ending == "commit" else sender.abort_transaction)(WAIT_S)
    source = consumer(f"{name}-g", isolation_level="read_committed", enable_auto_commit=False)
    source.subscribe([name])
    got = read(source, 20)
    check(got == [f"commit {at}" for at in range(10)] * 2, got)
    sender.begin_transaction()
    sender.send_offsets_to_transaction(source.position(source.assignment()), source.consumer_group_metadata(), WAIT_S)
    sender.commit_transaction(WAIT_S)
    source.close()
    dirty = consumer(f"{name}-all", isolation_level="read_uncommitted")
    dirty.subscribe([name])
    check(sum(value.startswith("abort") for value in read(dirty, 30)) == 10, "read_uncommitted hides aborted records")
    dirty.close()
    send(name, ["after"])
    source = consumer(f"{name}-g", isolation_level="read_committed")
    source.subscribe([name])
    check(read(source, 1) == ["after"], "offsets of the transaction were not used")
    source.close()
    first, second = producer(transactional_id=f"{name}-fence"), producer(transactional_id=f"{name}-fence")
    first.init_transactions(WAIT_S)
    second.init_transactions(WAIT_S)
    try:
        first.begin_transaction()
        first.produce(name, value="zombie")
        first.commit_transaction(WAIT_S)
        raise AssertionError("a fenced producer committed")
    except KafkaException as error:
        check(error.args[0].fatal(), error)


def offsets():
    create(name)
    sender = producer()
    for at in range(10):
        sender.produce(name, value=str(at), partition=0, timestamp=1_700_000_000_000 + at * 1000)
    sender.flush(WAIT_S)
    reader = consumer(f"{name}-g", enable_auto_commit=False)
    check(reader.get_watermark_offsets(TopicPartition(name, 0), timeout=10) == (0, 10), "watermarks")
    found = reader.offsets_for_times([TopicPartition(name, 0, 1_700_000_004_500)], timeout=10)[0]
    check(found.offset == 5, f"offset {found.offset} for the time")
    reader.assign([found])
    check(read(reader, 1) == ["5"], "seek by time")
    reader.commit(offsets=[TopicPartition(name, 0, 7)], asynchronous=False)
    check(reader.committed([TopicPartition(name, 0)], timeout=10)[0].offset == 7, "committed")
    reader.seek(TopicPartition(name, 0, OFFSET_BEGINNING))
    check(read(reader, 1) == ["0"], "seek to the start")
    reader.close()
    reader = consumer(f"{name}-g")
    reader.subscribe([name])
    check(read(reader, 3) == ["7", "8", "9"], "the group did not begin where it was set")
    reader.close()


SCENARIOS = {
    "topics": topics,
    **{codec: lambda codec=codec: compression(codec) for codec in ["none", "gzip", "snappy", "lz4", "zstd"]},
    "groups": lambda: groups(partition_assignment_strategy="range"),
    "cooperative": lambda: groups(partition_assignment_strategy="cooperative-sticky"),
    "static members": static_members,
    "consumer protocol": lambda: groups(group_protocol="consumer"),
    "transactions": transactions,
    "offsets": offsets,
}
SCENARIOS[scenario]()
