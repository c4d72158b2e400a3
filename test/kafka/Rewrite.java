// Reads message bodies with Apache Kafka's own classes and writes them again: the oracle for our schemas.
// A line in: `request|response <api key> <version> <hex>`. A line out: the hex of what Kafka writes, `unsupported`, or `error <why>`.
// Started by test/kafka/apache-rewrites.test.ts with Kafka's jars on the class path.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;

public class Rewrite {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        PrintStream out = new PrintStream(System.out, false);
        for (String line = in.readLine(); line != null; line = in.readLine()) out.println(rewrite(line.split(" ", 4)));
        out.flush();
    }

    static String rewrite(String[] words) {
        try {
            ApiMessageType type = ApiMessageType.fromApiKey(Short.parseShort(words[1]));
            short version = Short.parseShort(words[2]);
            if (version < type.lowestSupportedVersion() || version > type.highestSupportedVersion(true)) return "unsupported";
            ApiMessage message = words[0].equals("request") ? type.newRequest() : type.newResponse();
            ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(words[3]));
            message.read(new ByteBufferAccessor(bytes), version);
            if (bytes.remaining() > 0) return "error " + bytes.remaining() + " bytes left over";
            ByteBuffer written = MessageUtil.toByteBufferAccessor(message, version).buffer();
            byte[] copy = new byte[written.remaining()];
            written.get(copy);
            return HexFormat.of().formatHex(copy);
        } catch (Exception e) {
            return "error " + e;
        }
    }
}
