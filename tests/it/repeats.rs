//! A sender that got no answer sends again: the batch is known by its key, or by
//! its content, and stored once.

use isinglass_testkit::load;

use crate::harness::{Answer, Client, Server, now_nanos};

const KEY: &str = "x-isinglass-batch-key";

async fn send(client: &Client, key: Option<&str>, body: &[u8]) -> Answer {
    let mut headers = vec![("content-type", "application/x-protobuf")];
    headers.extend(key.map(|key| (KEY, key)));
    client.try_otlp("traces", &headers, body.to_vec()).await.unwrap()
}

#[tokio::test]
async fn the_same_content_is_stored_once() {
    let mut server = Server::start();
    let body = load::traces(1, 10, now_nanos() - 1_000_000);
    for _ in 0..3 {
        send(&server.client(), None, &body).await.ok();
    }
    assert_eq!(server.client().count("spans").await, 10);
    server.kill();
    server.start_again();
    send(&server.client(), None, &body).await.ok();
    assert_eq!(server.client().count("spans").await, 10, "also after a crash");
    server.client().flush().await;
    server.kill();
    server.start_again();
    send(&server.client(), None, &body).await.ok();
    assert_eq!(server.client().count("spans").await, 10, "also after a flush");
    send(&server.client().tenant("other"), None, &body).await.ok();
    assert_eq!(server.client().tenant("other").count("spans").await, 10, "by tenant");
}

#[tokio::test]
async fn a_key_stands_for_its_batch() {
    let server = Server::start();
    let client = server.client();
    let (first, second) = (load::traces(1, 10, now_nanos()), load::traces(2, 10, now_nanos()));
    send(&client, Some("a"), &first).await.ok();
    send(&client, Some("a"), &first).await.ok();
    assert_eq!(client.count("spans").await, 10);
    send(&client, Some("b"), &second).await.ok();
    assert_eq!(client.count("spans").await, 20);
}

/// The second of two at the same time waits for the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_that_overlap() {
    let server = Server::start();
    let client = server.client();
    let body = load::traces(3, 2_000, now_nanos() - 1_000_000_000);
    let answers = (0..8).map(|_| send(&client, None, &body));
    for answer in futures::future::join_all(answers).await {
        answer.ok();
    }
    assert_eq!(client.count("spans").await, 2_000);
}

/// A refused batch was not stored and may be sent again.
#[tokio::test]
async fn a_refused_batch_can_be_repeated() {
    let server = Server::start_with("[plugins.config.rate-limit]\nitems_per_second = 10\nitems_burst = 15\n");
    let client = server.client();
    send(&client, None, &load::traces(1, 10, now_nanos())).await.ok();
    let body = load::traces(2, 10, now_nanos());
    assert_eq!(send(&client, None, &body).await.status, 429);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    send(&client, None, &body).await.ok();
    assert_eq!(client.count("spans").await, 20);
}
