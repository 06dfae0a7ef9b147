//! A file system of its own, in a file, whose power can be cut.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::tools;

/// Of the volume; the file has holes.
const VOLUME_BYTES: u64 = 1 << 30;
/// The kernel lets go of a volume so soon after the last process on it is gone.
const UNMOUNTED_WITHIN: Duration = Duration::from_secs(20);
/// `EXT4_IOC_SHUTDOWN` and `XFS_IOC_GOINGDOWN` are one number, as is "flush neither journal
/// nor data" (`fs/ext4/ioctl.c`, `fs/xfs/xfs_ioctl.c`; xfstests uses them as `godown`).
const SHUT_DOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// File systems that can be cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// Its own journal shall not save what was not synced: a long time between commits.
    fn options(self) -> &'static str {
        match self {
            Self::Ext4 => "loop,noatime,commit=300",
            Self::Xfs => "loop,noatime",
        }
    }
}

/// A mounted file system in a file. Dropping it unmounts it.
#[derive(Debug)]
pub(crate) struct Volume {
    pub(crate) kind: FileSystem,
    image: PathBuf,
    pub(crate) folder: PathBuf,
}

impl Volume {
    /// Makes and mounts it below a folder.
    pub(crate) fn make(kind: FileSystem, below: &Path) -> anyhow::Result<Self> {
        let (image, folder) = (below.join("volume.image"), below.join("volume"));
        File::create(&image)?.set_len(VOLUME_BYTES)?;
        std::fs::create_dir_all(&folder)?;
        run(Command::new(format!("mkfs.{}", kind.name())).arg("-q").arg(&image))?;
        let volume = Self { kind, image, folder };
        volume.mount()?;
        Ok(volume)
    }

    fn mount(&self) -> anyhow::Result<()> {
        let options = ["-t", self.kind.name(), "-o", self.kind.options()];
        run(Command::new("mount").args(options).arg(&self.image).arg(&self.folder))
    }

    /// From now on nothing reaches the disk, and what waits to be written never will. Who
    /// writes or syncs gets `EIO`.
    pub(crate) fn cut(&self) -> anyhow::Result<()> {
        run(Command::new(tools::python()?).args(["-c", SHUT_DOWN]).arg(&self.folder))
    }

    /// What the disk has, after the power is back. No process may use the volume.
    pub(crate) fn come_back(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        while let Err(error) = run(Command::new("umount").arg(&self.folder)) {
            anyhow::ensure!(start.elapsed() < UNMOUNTED_WITHIN, "{error}");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.mount()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.folder).status());
    }
}

/// Whether these can be made and mounted here.
pub(crate) fn missing(kind: FileSystem) -> Option<String> {
    if !tools::is_root() {
        return Some("only root may mount".to_owned());
    }
    let maker = format!("mkfs.{}", kind.name());
    tools::find(&maker).is_none().then(|| format!("{maker} is not installed"))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(())
}
