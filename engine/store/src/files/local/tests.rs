use futures::TryStreamExt as _;
use object_store::{CopyMode, ObjectStoreExt as _};

use super::*;

fn open() -> (tempfile::TempDir, LocalFolder) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFolder::open(&folder.path().join("tables")).unwrap();
    (folder, store)
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

async fn read(store: &LocalFolder, location: &str) -> Vec<u8> {
    store.get(&path(location)).await.unwrap().bytes().await.unwrap().to_vec()
}

async fn names(store: &LocalFolder) -> Vec<String> {
    let mut names: Vec<_> =
        store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    names.sort();
    names
}

#[tokio::test]
async fn a_second_create_is_refused_and_changes_nothing() {
    let (_folder, store) = open();
    let at = path("t/samples/_delta_log/00000000000000000000.json");
    store.put_opts(&at, "first".into(), PutMode::Create.into()).await.unwrap();
    let error = store.put_opts(&at, "second".into(), PutMode::Create.into()).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert_eq!(read(&store, at.as_ref()).await, b"first");
    store.put_opts(&at, "third".into(), PutMode::Overwrite.into()).await.unwrap();
    assert_eq!(read(&store, at.as_ref()).await, b"third");
    assert_eq!(names(&store).await, [at.to_string()]);
}

#[tokio::test]
async fn of_many_creates_one_wins() {
    let (_folder, store) = open();
    let at = path("t/race");
    let puts = (0..16).map(|n| store.put_opts(&at, n.to_string().into(), PutMode::Create.into()));
    let won = futures::future::join_all(puts).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn an_upload_is_there_when_it_is_completed() {
    let (_folder, store) = open();
    let at = path("t/file");
    let mut upload = store.put_multipart(&at).await.unwrap();
    let parts = [upload.put_part("ab".into()), upload.put_part("cd".into()), upload.put_part("e".into())];
    assert!(names(&store).await.is_empty());
    for part in parts.into_iter().rev() {
        part.await.unwrap();
    }
    upload.complete().await.unwrap();
    assert!(upload.complete().await.is_err());
    assert_eq!(read(&store, "t/file").await, b"abcde");

    let mut aborted = store.put_multipart(&path("t/other")).await.unwrap();
    aborted.put_part("x".into()).await.unwrap();
    aborted.abort().await.unwrap();
    drop(store.put_multipart(&path("t/dropped")).await.unwrap());
    assert_eq!(names(&store).await, ["t/file"]);
}

#[tokio::test]
async fn copies_and_renames() {
    let (_folder, store) = open();
    store.put(&path("a"), "1".into()).await.unwrap();
    store.put(&path("b"), "2".into()).await.unwrap();
    store.copy(&path("a"), &path("deep/er/c")).await.unwrap();
    let refused = CopyOptions::new().with_mode(CopyMode::Create);
    assert!(store.copy_opts(&path("a"), &path("b"), refused).await.is_err());
    store.rename(&path("b"), &path("other/d")).await.unwrap();
    assert_eq!(names(&store).await, ["a", "deep/er/c", "other/d"]);
    assert_eq!(read(&store, "other/d").await, b"2");
}

#[tokio::test]
async fn leftovers_of_an_earlier_run_are_hidden_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    std::fs::create_dir_all(root.join("t")).unwrap();
    let (old, new) = (root.join("t/x.parquet#7"), root.join("t/y.parquet#8"));
    std::fs::write(&old, "cut").unwrap();
    std::fs::write(&new, "in use").unwrap();
    let hours_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7_200);
    std::fs::File::options().write(true).open(&old).unwrap().set_modified(hours_ago).unwrap();

    let store = LocalFolder::open(&root).unwrap();
    assert!(names(&store).await.is_empty());
    store.put(&path("t/x.parquet"), "whole".into()).await.unwrap();
    assert!(!old.exists());
    assert!(new.exists());
}

#[tokio::test]
async fn tenant_names_are_folder_names() {
    let (folder, store) = open();
    let at = path("a!-_.*'()9Z/samples/f");
    store.put(&at, "1".into()).await.unwrap();
    assert!(folder.path().join("tables/a!-_.*'()9Z/samples/f").exists());
    assert_eq!(names(&store).await, ["a!-_.*'()9Z/samples/f"]);
}
