//! Tables in a bucket over a real socket, and objects that are not what was written.

use std::path::PathBuf;

use isinglass_testkit::loki::{self, Stream};

use crate::harness::outside::Bucket;
use crate::harness::{Server, now_nanos};
use crate::{crash, operate};

/// All signals, flushes, SQL, and a server that is killed again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_in_a_bucket_lose_nothing_and_double_nothing() {
    let bucket = Bucket::start();
    let mut server = Server::start_in(&bucket.config("some/where"), &Bucket::CREDENTIALS);
    let acknowledged = crash::kill_again_and_again(&mut server, 4).await;
    assert!(acknowledged > 100, "the senders got through: {acknowledged}");
    assert!(!server.data_dir().join("tables").exists());
    let client = server.client();
    assert!(client.metric("isinglass_object_calls_total", &["put"]).await > 0.0);
    assert!(client.metric("isinglass_object_bytes_total", &["get"]).await > 0.0);
    assert!(client.metric("isinglass_checked_bytes_total", &[]).await > 0.0);
    assert_eq!(client.metric("isinglass_damaged_reads_total", &[]).await, 0.0);
}

#[test]
fn a_url_that_cannot_be_is_named() {
    let check = |config: &str, want: &str| {
        let said = operate::refused(config, &[]);
        assert!(said.contains(want), "{said}");
    };
    check(
        "[store]\nurl = \"ftp://host/x\"\n",
        "store.url = \"ftp://host/x\": unknown scheme \"ftp\", it must be a path, file://, s3://, gs://, \
         az://, abfss:// or memory://",
    );
    check(
        "[store.objects]\nendpoint = \"https://x\"\n",
        "store.objects.endpoint = \"https://x\": store.url names no bucket",
    );
    check("[store.objects]\nendpiont = \"https://x\"\n", "did you mean `endpoint`?");
}

fn data_files(server: &Server, kind: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(server.table("default", kind)).unwrap();
    files.map(|file| file.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "parquet")).collect()
}

#[tokio::test]
async fn a_turned_bit_in_a_stored_file_is_an_error_that_names_it() {
    let mut server = Server::start();
    let stream = (0..2_000).fold(Stream::new(r#"{app="x"}"#), |stream, at| {
        stream.line_with(now_nanos() + at, &format!("line {at}"), &[("k", "v")])
    });
    server.client().loki(&loki::request(&[stream])).await.ok();
    server.client().flush().await;
    assert_eq!(server.client().number("select count(distinct body) from logs").await, 2_000.0);
    server.stop();
    let files = data_files(&server, "logs");
    assert_eq!(files.len(), 1, "{files:?}");
    let mut bytes = std::fs::read(&files[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&files[0], bytes).unwrap();
    server.start_again();
    let answer = server.client().ask("select count(distinct body) from logs").await;
    let name = files[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(answer.text().contains(name), "{}", answer.text());
    assert_eq!(server.client().metric("isinglass_damaged_reads_total", &[]).await, 1.0);
}
