//! What is installed beside the store, which a server does not start without: the folder
//! `plugins` of the data folder (`docs/formats/installed-plugins.md`).

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::manifest::{Object, PLUGINS};
use super::source::{Outlet, blocking};
use crate::StoreError;

/// The list of what is installed. It names components by the hash of their bytes.
const LIST: &str = "installed.json";
/// How often the list is read again because a component went that it named.
const ATTEMPTS: usize = 5;

/// Copies the list and the components that it names; nothing where nothing is installed.
pub(super) async fn copy(data_dir: &Path, outlet: &Outlet) -> Result<Vec<Object>, StoreError> {
    let folder = data_dir.join(PLUGINS);
    let files = blocking(move || read(&folder)).await?;
    let mut objects = Vec::with_capacity(files.len());
    for (name, content) in files {
        objects.push(outlet.object(format!("{PLUGINS}/{name}"), content.into()).await?);
    }
    Ok(objects)
}

type Files = Vec<(String, Vec<u8>)>;

/// All files as they were at one moment: a list is replaced as a whole, after its components came
/// and before others go.
fn read(folder: &Path) -> Result<Files, StoreError> {
    let mut gone = None;
    for _ in 0..ATTEMPTS {
        match try_read(folder) {
            Ok(files) => return Ok(files),
            Err((path, error)) if error.kind() == io::ErrorKind::NotFound => gone = Some((path, error)),
            Err((path, error)) => return Err(StoreError::io(path.display().to_string(), &error)),
        }
    }
    gone.map_or(Ok(Files::new()), |(path, error)| Err(StoreError::io(path.display().to_string(), &error)))
}

fn try_read(folder: &Path) -> Result<Files, (PathBuf, io::Error)> {
    let list = match std::fs::read(folder.join(LIST)) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Files::new()),
        Err(error) => return Err((folder.join(LIST), error)),
    };
    let parsed: Value = serde_json::from_slice(&list).map_err(|error| (folder.join(LIST), error.into()))?;
    let mut names = Vec::new();
    collect(&parsed, &mut names);
    names.sort_unstable();
    names.dedup();
    let mut files = vec![(LIST.to_owned(), list)];
    for name in names {
        let content = std::fs::read(folder.join(&name)).map_err(|error| (folder.join(&name), error))?;
        files.push((name, content));
    }
    Ok(files)
}

/// Files of components, whatever else a list of a later release says of them.
fn collect(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let digest = fields.get("digest").and_then(Value::as_str);
            let is_hex = |text: &&str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            names.extend(digest.filter(is_hex).map(|digest| format!("sha256-{digest}.wasm")));
            fields.values().for_each(|value| collect(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_names_is_copied_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), Files::new());
        let (one, other) = ("0a".repeat(32), "0b".repeat(32));
        let list = format!(
            r#"{{ "format": 1, "plugins": [{{ "digest": "{one}", "previous": {{ "digest": "{other}" }} }}] }}"#
        );
        std::fs::write(dir.path().join(LIST), &list).unwrap();
        for digest in [&one, &other, &"0c".repeat(32)] {
            std::fs::write(dir.path().join(format!("sha256-{digest}.wasm")), digest).unwrap();
        }
        let names: Vec<_> = read(dir.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [LIST.to_owned(), format!("sha256-{one}.wasm"), format!("sha256-{other}.wasm")]);
        std::fs::remove_file(dir.path().join(format!("sha256-{other}.wasm"))).unwrap();
        assert!(read(dir.path()).unwrap_err().to_string().contains(&other));
    }
}
