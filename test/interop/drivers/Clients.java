// Apache's Java clients: one scenario against one broker. Exit code 0 means that it passed.
// Usage: Clients ADDRESS SCENARIO NAME. KAFKA_CONNECTION names a properties file with what a secured broker asks for.
import java.io.FileReader;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

public class Clients {
  static final long WAIT_MS = 40_000;
  static String address, name;

  public static void main(String[] args) throws Exception {
    address = args[0];
    name = args[2];
    Thread watchdog = new Thread(() -> {
      try {
        Thread.sleep(3 * WAIT_MS);
      } catch (InterruptedException over) {
        return;
      }
      Runtime.getRuntime().halt(2);
    });
    watchdog.setDaemon(true);
    watchdog.start();
    try (Admin admin = Admin.create(connection(address))) {
      switch (args[1]) {
        case "topics" -> topics(admin);
        case "none", "gzip", "snappy", "lz4", "zstd" -> compression(admin, args[1]);
        case "groups" -> groups(admin, Map.of("partition.assignment.strategy", RangeAssignor.class.getName()));
        case "cooperative" -> groups(admin, Map.of("partition.assignment.strategy", CooperativeStickyAssignor.class.getName()));
        case "consumer protocol" -> {
          groups(admin, Map.of("group.protocol", "consumer"));
          consumerProtocol(admin);
        }
        case "range assignor of the broker" -> groups(admin, Map.of("group.protocol", "consumer", "group.remote.assignor", "range"));
        case "pattern subscription of the broker" -> pattern(admin);
        case "static members" -> staticMembers(admin, Map.of("session.timeout.ms", "30000", "partition.assignment.strategy", RangeAssignor.class.getName()));
        case "static members of the consumer protocol" -> staticMembers(admin, Map.of("group.protocol", "consumer"));
        case "killed broker, classic" -> overRestart(admin, Map.of("session.timeout.ms", "30000", "partition.assignment.strategy", RangeAssignor.class.getName()));
        case "killed broker, consumer" -> overRestart(admin, Map.of("group.protocol", "consumer"));
        case "protocol change" -> protocolChange(admin);
        case "transactions" -> transactions(admin);
        case "offsets" -> offsets(admin);
        default -> throw new IllegalArgumentException(args[1]);
      }
    }
    System.exit(0);
  }

  /** What every client needs to connect. */
  static Map<String, Object> connection(String address) throws java.io.IOException {
    Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", address));
    String file = System.getenv("KAFKA_CONNECTION");
    if (file != null) {
      var properties = new Properties();
      try (var reader = new FileReader(file)) {
        properties.load(reader);
      }
      for (String key : properties.stringPropertyNames()) config.put(key, properties.getProperty(key));
    }
    return config;
  }

  static void check(boolean right, Object words) {
    if (!right) throw new AssertionError(words);
  }

  static void until(BooleanSupplier what, Supplier<Object> words) throws InterruptedException {
    long end = System.currentTimeMillis() + WAIT_MS;
    while (!what.getAsBoolean()) {
      check(System.currentTimeMillis() < end, "waited " + WAIT_MS + " ms: " + words.get());
      Thread.sleep(20);
    }
  }

  static void create(Admin admin, String topic, int partitions) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
  }

  static Map<String, Object> connected(Map<String, Object> more) {
    try {
      var config = connection(address);
      config.putAll(more);
      return config;
    } catch (java.io.IOException unreadable) {
      throw new java.io.UncheckedIOException(unreadable);
    }
  }

  static KafkaProducer<String, String> producer(Map<String, Object> more) {
    Map<String, Object> config = connected(Map.of("linger.ms", 5));
    config.putAll(more);
    return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
  }

  static KafkaConsumer<String, String> consumer(String group, Map<String, ?> more) {
    Map<String, Object> config = connected(Map.of("group.id", group, "auto.offset.reset", "earliest"));
    if (!"consumer".equals(more.get("group.protocol"))) config.putAll(Map.of("session.timeout.ms", "6000", "heartbeat.interval.ms", "300"));
    config.putAll(more);
    return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
  }

  static void send(int from, int to, int partitions) throws Exception {
    try (var sender = producer(Map.of())) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (int at = from; at < to; at++) sent.add(sender.send(new ProducerRecord<>(name, at % partitions, null, "" + at)));
      for (var one : sent) one.get();
    }
  }

  static List<String> read(KafkaConsumer<String, String> from, int count) {
    List<String> got = new ArrayList<>();
    long end = System.currentTimeMillis() + WAIT_MS;
    while (got.size() < count) {
      check(System.currentTimeMillis() < end, "read " + got.size() + " of " + count);
      for (var record : from.poll(Duration.ofMillis(200))) got.add(record.value());
    }
    return got;
  }

  /** A group member that reads in a thread of its own until it is told to leave. */
  static class Member extends Thread implements ConsumerRebalanceListener {
    final Set<TopicPartition> mine = ConcurrentHashMap.newKeySet();
    final List<String> values = Collections.synchronizedList(new ArrayList<>());
    final KafkaConsumer<String, String> from;
    volatile boolean stopping;
    volatile Exception error;
    volatile int rebalances;

    Member(String group, Map<String, ?> config) {
      this(group, config, null);
    }

    Member(String group, Map<String, ?> config, String pattern) {
      from = consumer(group, config);
      if (pattern == null) from.subscribe(List.of(name), this);
      else from.subscribe(new SubscriptionPattern(pattern), this);
      setDaemon(true);
      start();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      rebalances++;
      mine.addAll(partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      mine.removeAll(partitions);
    }

    @Override
    public void run() {
      try {
        while (!stopping) for (var record : from.poll(Duration.ofMillis(100))) values.add(record.value());
        from.close();
      } catch (Exception thrown) {
        error = thrown;
      }
    }

    void leave() throws Exception {
      stopping = true;
      join(WAIT_MS);
      check(!isAlive() && error == null, "a member did not leave: " + error);
    }
  }

  static void topics(Admin admin) throws Exception {
    admin.createTopics(List.of(new NewTopic(name, 3, (short) 1).configs(Map.of("retention.ms", "3600000")))).all().get();
    var described = admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
    check(described.partitions().size() == 3, described);
    var resource = new ConfigResource(ConfigResource.Type.TOPIC, name);
    var op = new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET);
    admin.incrementalAlterConfigs(Map.of(resource, List.of(op))).all().get();
    check(admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value().equals("7200000"), "retention.ms");
    admin.createPartitions(Map.of(name, NewPartitions.increaseTo(5))).all().get();
    check(admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size() == 5, "the topic did not grow");
    try {
      create(admin, name, 1);
      throw new AssertionError("a topic was created twice");
    } catch (ExecutionException error) {
      check(error.getCause() instanceof TopicExistsException, error);
    }
    check(admin.describeCluster().nodes().get().size() == 1, "nodes");
    admin.deleteTopics(List.of(name)).all().get();
    check(!admin.listTopics().names().get().contains(name), "the topic is still there");
  }

  static void compression(Admin admin, String codec) throws Exception {
    create(admin, name, 1);
    List<String> values = new ArrayList<>();
    try (var sender = producer(Map.of("compression.type", codec))) {
      for (int at = 0; at < 2000; at++) {
        values.add(at + " " + "x".repeat(200));
        sender.send(new ProducerRecord<>(name, values.get(at)));
      }
    }
    try (var reader = consumer(name + "-g", Map.of())) {
      reader.subscribe(List.of(name));
      check(read(reader, values.size()).equals(values), "other values came back");
    }
  }

  static void groups(Admin admin, Map<String, ?> config) throws Exception {
    create(admin, name, 6);
    send(0, 60, 6);
    var one = new Member(name + "-g", config);
    until(() -> one.mine.size() == 6 && one.values.size() == 60, () -> one.mine + " " + one.values.size() + " " + one.error);
    var two = new Member(name + "-g", config);
    until(() -> one.mine.size() == 3 && two.mine.size() == 3, () -> one.mine + " " + two.mine + " " + one.error + " " + two.error);
    check(Collections.disjoint(one.mine, two.mine), "a partition has two owners");
    var group = admin.describeConsumerGroups(List.of(name + "-g")).all().get().get(name + "-g");
    check(group.members().size() == 2, group);
    send(60, 120, 6);
    until(() -> one.values.size() + two.values.size() >= 120, () -> one.values.size() + " " + two.values.size());
    two.leave();
    until(() -> one.mine.size() == 6, () -> one.mine);
    send(120, 180, 6);
    until(() -> one.values.size() + two.values.size() >= 180, () -> one.values.size() + " " + two.values.size());
    var three = new Member(name + "-g", config);
    var four = new Member(name + "-g", config);
    until(() -> one.mine.size() == 2 && three.mine.size() == 2 && four.mine.size() == 2, () -> one.mine + " " + three.mine + " " + four.mine);
    for (var member : List.of(one, three, four)) member.leave();
    List<Integer> all = new ArrayList<>();
    for (var member : List.of(one, two, three, four)) for (var value : member.values) all.add(Integer.parseInt(value));
    Collections.sort(all);
    check(all.size() == 180 && new HashSet<>(all).size() == 180, "a value was lost or read twice: " + all.size());
    admin.deleteConsumerGroups(List.of(name + "-g")).all().get();
  }

  static void consumerProtocol(Admin admin) throws Exception {
    String group = name + "-more";
    var one = new Member(group, Map.of("group.protocol", "consumer"));
    until(() -> one.mine.size() == 6, () -> one.mine);
    var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    check(described.type() == GroupType.CONSUMER && described.groupState() == GroupState.STABLE, described);
    var listed = admin.listGroups(ListGroupsOptions.forConsumerGroups()).all().get().stream().filter(each -> each.groupId().equals(group)).findFirst();
    check(listed.isPresent() && listed.get().type().equals(Optional.of(GroupType.CONSUMER)), listed);
    admin.createPartitions(Map.of(name, NewPartitions.increaseTo(8))).all().get(); // a heartbeat later the member has the new ones
    until(() -> one.mine.size() == 8, () -> one.mine);
    one.leave();
    check(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().size() == 6, "offsets");
  }

  static void pattern(Admin admin) throws Exception {
    create(admin, name + "-a1", 2);
    create(admin, name + "-c1", 2);
    var one = new Member(name + "-g", Map.of("group.protocol", "consumer"), name + "-(a|b)[0-9]+");
    until(() -> one.mine.size() == 2, () -> one.mine + " " + one.error);
    create(admin, name + "-b22", 3);
    until(() -> one.mine.size() == 5, () -> one.mine + " " + one.error);
    one.leave();
    var wrong = consumer(name + "-g2", Map.of("group.protocol", "consumer"));
    wrong.subscribe(new SubscriptionPattern("(unclosed"));
    try {
      long end = System.currentTimeMillis() + WAIT_MS;
      while (System.currentTimeMillis() < end) wrong.poll(Duration.ofMillis(100));
      throw new AssertionError("a wrong pattern was accepted");
    } catch (InvalidRegularExpression refused) {
      wrong.close();
    }
  }

  static void staticMembers(Admin admin, Map<String, Object> base) throws Exception {
    create(admin, name, 4);
    Function<String, Map<String, Object>> of = instance -> {
      Map<String, Object> config = new HashMap<>(base);
      config.put("group.instance.id", instance);
      return config;
    };
    var one = new Member(name + "-g", of.apply("one"));
    until(() -> one.mine.size() == 4, () -> one.mine + " " + one.error);
    var two = new Member(name + "-g", of.apply("two"));
    until(() -> one.mine.size() == 2 && two.mine.size() == 2, () -> one.mine + " " + two.mine);
    var had = Set.copyOf(two.mine);
    int seen = one.rebalances;
    two.leave(); // a static member does not say goodbye
    var again = new Member(name + "-g", of.apply("two"));
    until(() -> again.mine.equals(had), () -> again.mine + ", had " + had + " " + again.error);
    check(one.rebalances == seen, "the other member was rebalanced");
    again.leave();
    var gone = new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("two")));
    admin.removeMembersFromConsumerGroup(name + "-g", gone).all().get();
    until(() -> one.mine.size() == 4, () -> one.mine + " " + one.error);
    one.leave();
  }

  /** Says KILL and waits for a line: meanwhile the broker is killed and started again. The members stay who they are and have what they had. */
  static void overRestart(Admin admin, Map<String, Object> base) throws Exception {
    Map<String, Object> config = new HashMap<>(base);
    config.put("auto.commit.interval.ms", "100");
    // By default a client that can reach nobody forgets the topics, and a leader of a classic group that knows no topics joins again.
    config.put("metadata.recovery.strategy", "none");
    create(admin, name, 6);
    send(0, 60, 6);
    var one = new Member(name + "-g", config);
    var two = new Member(name + "-g", config);
    until(() -> one.mine.size() == 3 && two.mine.size() == 3, () -> one.mine + " " + two.mine + " " + one.error + " " + two.error);
    until(() -> Set.copyOf(one.values).size() + Set.copyOf(two.values).size() >= 60, () -> one.values.size() + " " + two.values.size());
    Thread.sleep(1000); // for a commit
    var had = List.of(Set.copyOf(one.mine), Set.copyOf(two.mine));
    int seen = one.rebalances + two.rebalances;
    System.out.println("KILL");
    System.in.read();
    send(60, 120, 6);
    until(() -> Set.copyOf(one.values).size() + Set.copyOf(two.values).size() >= 120, () -> one.values.size() + " " + two.values.size() + " " + one.error);
    check(had.equals(List.of(Set.copyOf(one.mine), Set.copyOf(two.mine))), "other partitions: " + one.mine + two.mine);
    check(seen == one.rebalances + two.rebalances, "there was a rebalance");
    one.leave();
    two.leave();
    check(one.values.size() + two.values.size() == 120, "read twice: " + (one.values.size() + two.values.size()));
  }

  /** An empty group goes from one protocol to the other with its offsets, and back. */
  static void protocolChange(Admin admin) throws Exception {
    create(admin, name, 2);
    int sent = 0;
    for (String protocol : List.of("classic", "consumer", "classic")) {
      send(sent, sent + 10, 2);
      var member = new Member(name + "-g", Map.of("group.protocol", protocol));
      until(() -> member.values.size() >= 10, () -> protocol + " " + member.values + " " + member.error);
      member.leave();
      sent += 10;
      check(member.values.size() == 10, protocol + " " + member.values);
      for (var one : admin.describeConsumerGroups(List.of(name + "-g")).all().get().values())
        for (var left : one.members()) throw new AssertionError("still there: " + left);
    }
  }

  static void transactions(Admin admin) throws Exception {
    create(admin, name, 1);
    try (var sender = producer(Map.of("transactional.id", name + "-tx"))) {
      sender.initTransactions();
      for (String ending : List.of("commit", "abort", "commit")) {
        sender.beginTransaction();
        for (int at = 0; at < 10; at++) sender.send(new ProducerRecord<>(name, ending + " " + at));
        sender.flush();
        if (ending.equals("commit")) sender.commitTransaction();
        else sender.abortTransaction();
      }
      try (var source = consumer(name + "-g", Map.of("isolation.level", "read_committed", "enable.auto.commit", "false"))) {
        source.subscribe(List.of(name));
        var got = read(source, 20);
        check(got.stream().allMatch(value -> value.startsWith("commit")), got);
        sender.beginTransaction();
        sender.sendOffsetsToTransaction(Map.of(new TopicPartition(name, 0), new OffsetAndMetadata(source.position(new TopicPartition(name, 0)))), source.groupMetadata());
        sender.commitTransaction();
      }
      send(0, 1, 1);
      try (var source = consumer(name + "-g", Map.of("isolation.level", "read_committed"))) {
        source.subscribe(List.of(name));
        check(read(source, 1).equals(List.of("0")), "offsets of the transaction were not used");
      }
      try (var dirty = consumer(name + "-all", Map.of())) {
        dirty.subscribe(List.of(name));
        check(read(dirty, 31).stream().filter(value -> value.startsWith("abort")).count() == 10, "read_uncommitted hides aborted records");
      }
      try (var second = producer(Map.of("transactional.id", name + "-tx"))) {
        second.initTransactions();
        try {
          sender.beginTransaction();
          sender.send(new ProducerRecord<>(name, "zombie"));
          sender.commitTransaction();
          throw new AssertionError("a fenced producer committed");
        } catch (ProducerFencedException | InvalidProducerEpochException fenced) {
          // as it should be
        } catch (KafkaException fenced) {
          check(fenced.getCause() instanceof ProducerFencedException || fenced.getCause() instanceof InvalidProducerEpochException, fenced);
        }
      }
    }
  }

  static void offsets(Admin admin) throws Exception {
    create(admin, name, 1);
    var partition = new TopicPartition(name, 0);
    try (var sender = producer(Map.of())) {
      for (int at = 0; at < 10; at++) sender.send(new ProducerRecord<>(name, 0, 1_700_000_000_000L + at * 1000, null, "" + at));
    }
    try (var reader = consumer(name + "-g", Map.of("enable.auto.commit", "false"))) {
      check(reader.beginningOffsets(List.of(partition)).get(partition) == 0 && reader.endOffsets(List.of(partition)).get(partition) == 10, "ends");
      var found = reader.offsetsForTimes(Map.of(partition, 1_700_000_004_500L)).get(partition);
      check(found.offset() == 5 && found.timestamp() == 1_700_000_005_000L, found);
      reader.assign(List.of(partition));
      reader.seek(partition, found.offset());
      check(read(reader, 1).get(0).equals("5"), "seek by time");
      reader.commitSync(Map.of(partition, new OffsetAndMetadata(7, "word")));
      check(reader.committed(Set.of(partition)).get(partition).metadata().equals("word"), "committed");
    }
    for (var spec : Map.of(OffsetSpec.earliest(), 0L, OffsetSpec.latest(), 10L, OffsetSpec.maxTimestamp(), 9L, OffsetSpec.forTimestamp(1_700_000_004_500L), 5L).entrySet()) {
      long got = admin.listOffsets(Map.of(partition, spec.getKey())).partitionResult(partition).get().offset();
      check(got == spec.getValue(), spec + " is " + got);
    }
    admin.alterConsumerGroupOffsets(name + "-g", Map.of(partition, new OffsetAndMetadata(8))).all().get();
    try (var reader = consumer(name + "-g", Map.of())) {
      reader.subscribe(List.of(name));
      check(read(reader, 2).equals(List.of("8", "9")), "the group did not begin where it was set");
    }
    admin.deleteConsumerGroupOffsets(name + "-g", Set.of(partition)).all().get();
    check(admin.listConsumerGroupOffsets(name + "-g").partitionsToOffsetAndMetadata().get().get(partition) == null, "the offset is still there");
    admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4))).all().get();
    check(admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).partitionResult(partition).get().offset() == 4, "log start");
  }
}
