// A Kafka Streams application under exactly_once_v2: counts words, is stopped in the middle and started again with an empty disk,
// so that its changelog is restored. Exit code 0 means that every word was counted once.
// Usage: StreamsApp ADDRESS SCENARIO NAME. SCENARIO is ignored; KAFKA_CONNECTION as in Clients.
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

public class StreamsApp {
  static final long WAIT_MS = 60_000;

  public static void main(String[] args) throws Exception {
    String address = args[0], name = args[2], in = name + "-in", out = name + "-out";
    var builder = new StreamsBuilder();
    builder.stream(in, Consumed.with(Serdes.String(), Serdes.String()))
        .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String())) // a repartition topic
        .count(Materialized.as("counts")) // a changelog
        .toStream()
        .to(out, Produced.with(Serdes.String(), Serdes.Long()));
    try (Admin admin = Admin.create(Clients.connection(address))) {
      admin.createTopics(List.of(new NewTopic(in, 4, (short) 1), new NewTopic(out, 4, (short) 1))).all().get();
      Map<String, Long> counts = new HashMap<>();
      try (var reader = new KafkaConsumer<>(with(address, Map.of("group.id", name + "-check", "isolation.level", "read_committed", "auto.offset.reset", "earliest")), new StringDeserializer(), new LongDeserializer())) {
        reader.subscribe(List.of(out));
        for (int run = 1; run <= 2; run++) {
          send(address, in);
          Path state = Files.createTempDirectory("millrace-interop-streams");
          var config = new Properties();
          config.putAll(with(address, Map.of("application.id", name, "processing.guarantee", "exactly_once_v2", "state.dir", state.toString(), "num.stream.threads", 2, "commit.interval.ms", 100)));
          config.putAll(Map.of("auto.offset.reset", "earliest", "session.timeout.ms", 6000)); // closed without leaving: a session has to pass
          try (var streams = new KafkaStreams(builder.build(), config)) {
            streams.start();
            long end = System.currentTimeMillis() + WAIT_MS;
            while (!done(counts, run * 300L)) {
              if (System.currentTimeMillis() > end || streams.state() == KafkaStreams.State.ERROR) throw new AssertionError("run " + run + ", " + streams.state() + ": " + counts);
              for (var record : reader.poll(Duration.ofMillis(100))) {
                long before = counts.getOrDefault(record.key(), 0L);
                if (record.value() < before) throw new AssertionError("a count went back: " + record.key() + " from " + before + " to " + record.value());
                counts.put(record.key(), record.value());
              }
            }
            if (run == 2) streams.close(new KafkaStreams.CloseOptions().leaveGroup(true));
          }
          try (var files = Files.walk(state)) {
            files.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
          }
        }
      }
    }
    System.exit(0);
  }

  static Map<String, Object> with(String address, Map<String, Object> more) throws Exception {
    var config = Clients.connection(address);
    config.putAll(more);
    return config;
  }

  /** Ten words, 300 of each in a run; more than one transaction's worth. */
  static void send(String address, String topic) throws Exception {
    try (var sender = new KafkaProducer<>(Clients.connection(address), new StringSerializer(), new StringSerializer())) {
      for (int at = 0; at < 3000; at++) sender.send(new ProducerRecord<>(topic, "" + at, "word" + at % 10));
    }
  }

  static boolean done(Map<String, Long> counts, long each) {
    if (counts.values().stream().anyMatch(count -> count > each)) throw new AssertionError("counted twice: " + counts);
    return counts.size() == 10 && counts.values().stream().allMatch(count -> count == each);
  }
}
