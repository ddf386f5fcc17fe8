// Java's own java.net.http.HttpClient with its defaults: it asks each server for HTTP/2 (h2c).

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

public class WithHttpClient {
    static final String URL = System.getenv("GATEWAY_URL") + "/v1/chat/completions";
    static final String MODEL = System.getenv("MODEL");
    static final HttpClient CLIENT = HttpClient.newHttpClient();
    static boolean failed = false;

    interface Check {
        void run() throws Exception;
    }

    static void check(String name, Check check) {
        try {
            check.run();
            System.out.println("ok " + name);
        } catch (Throwable error) {
            failed = true;
            error.printStackTrace(System.out);
            System.out.println("FAILED " + name + ": " + error);
        }
    }

    static void require(boolean right, Object found) {
        if (!right) {
            throw new AssertionError(String.valueOf(found));
        }
    }

    static String body(String model, String more) {
        return "{\"model\": \"" + model + "\", \"temperature\": 0, \"messages\": [{\"role\": \"user\","
                + " \"content\": \"What is the capital of France?\"}]" + more + "}";
    }

    static HttpRequest request(String body) {
        return HttpRequest.newBuilder(URI.create(URL))
                .header("Content-Type", "application/json")
                .header("Authorization", "Bearer any")
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build();
    }

    static HttpResponse<String> send(String body) throws Exception {
        return CLIENT.send(request(body), HttpResponse.BodyHandlers.ofString());
    }

    public static void main(String[] arguments) {
        check("chat", () -> {
            require(CLIENT.version() == HttpClient.Version.HTTP_2, CLIENT.version());
            for (int turn = 0; turn < 5; turn++) {
                HttpResponse<String> answer = send(body(MODEL, ""));
                require(answer.statusCode() == 200, answer.statusCode() + answer.body());
                require(answer.body().contains("Paris"), answer.body());
                require(answer.version() == HttpClient.Version.HTTP_1_1, answer.version());
            }
        });
        check("stream", () -> {
            HttpResponse<Stream<String>> answer = CLIENT.send(
                    request(body(MODEL, ", \"stream\": true")), HttpResponse.BodyHandlers.ofLines());
            List<String> lines = answer.body().filter(l -> !l.isEmpty()).collect(Collectors.toList());
            require(answer.statusCode() == 200, answer.statusCode());
            require(lines.stream().allMatch(line -> line.startsWith("data: ")), lines);
            require(lines.get(lines.size() - 1).equals("data: [DONE]"), lines);
            require(lines.stream().anyMatch(l -> l.contains("\"finish_reason\":\"stop\"")), lines);
        });
        check("many at once", () -> {
            List<CompletableFuture<HttpResponse<String>>> all = IntStream.range(0, 16)
                    .mapToObj(i -> CLIENT.sendAsync(
                            request(body(MODEL, "")), HttpResponse.BodyHandlers.ofString()))
                    .collect(Collectors.toList());
            for (CompletableFuture<HttpResponse<String>> one : all) {
                HttpResponse<String> answer = one.get(60, TimeUnit.SECONDS);
                require(answer.statusCode() == 200, answer.body());
            }
        });
        check("unknown model", () -> {
            HttpResponse<String> answer = send(body("nothing", ""));
            require(answer.statusCode() == 404, answer.statusCode());
            require(answer.body().contains("model_not_found"), answer.body());
        });
        check("no JSON", () -> {
            HttpResponse<String> answer = send("{");
            require(answer.statusCode() == 400, answer.statusCode());
            require(answer.body().contains("invalid_request_error"), answer.body());
        });
        check("cancel", () -> {
            HttpResponse<Stream<String>> answer = CLIENT.send(
                    request(body(MODEL, ", \"stream\": true, \"min_tokens\": 1500, \"max_tokens\": 1500")),
                    HttpResponse.BodyHandlers.ofLines());
            try (Stream<String> lines = answer.body()) {
                require(lines.iterator().next().startsWith("data: "), answer);
            }
            require(send(body(MODEL, "")).statusCode() == 200, "the next request");
        });
        System.exit(failed ? 1 : 0);
    }
}
