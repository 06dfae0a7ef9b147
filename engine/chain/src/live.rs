//! The chain in use, and how another takes its place.
//!
//! Who serves a request takes the chain once and keeps it to the end of the request. So a change
//! drops no batch and shows none to half of each: requests that began before it end under the old
//! chain, which goes when the last of them has ended. Nothing has to be moved but what the host
//! keeps for plugins: token buckets, what was counted, and who is left alone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use isinglass_model::{Clock, Tenant};
use parking_lot::Mutex;

use crate::chain::Chain;
use crate::config::{Binding, Budget, ChainConfig, Source, World};
use crate::error::ChainError;
use crate::inspect;
use crate::installed::{Installed, InstalledFolder, InstalledList, Version, file_name};
use crate::replay::{Again, Instead};

/// Chains by what they are made of: a configuration, and plugins that were installed.
pub struct LiveChain {
    current: ArcSwap<Chain>,
    clock: Arc<dyn Clock>,
    /// `None` = nothing can be installed.
    folder: Option<InstalledFolder>,
    /// One change at a time; it may compile for a while.
    parts: Mutex<Parts>,
    rolled_back: AtomicU64,
}

/// How long a version is new: when it fails then, the one before it is better.
const NEW: Duration = Duration::from_secs(600);

struct Parts {
    config: ChainConfig,
    installed: InstalledList,
}

impl std::fmt::Debug for LiveChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LiveChain").field(&self.current()).finish()
    }
}

impl LiveChain {
    /// The chain of a configuration and of what is installed in a data folder. Blocks while
    /// plugins are compiled.
    pub fn load(config: ChainConfig, data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, ChainError> {
        let folder = InstalledFolder::of(data_dir);
        let installed = folder.read()?;
        let chain = Chain::load(&installed.behind(&config, &folder)?, Arc::clone(&clock))?;
        let parts = Mutex::new(Parts { config, installed });
        Ok(Self {
            current: ArcSwap::from_pointee(chain),
            clock,
            folder: Some(folder),
            parts,
            rolled_back: AtomicU64::new(0),
        })
    }

    /// A chain that does not change: nothing is installed beside it.
    pub fn fixed(config: ChainConfig, clock: Arc<dyn Clock>) -> Result<Self, ChainError> {
        let chain = Chain::load(&config, Arc::clone(&clock))?;
        let parts = Mutex::new(Parts { config, installed: InstalledList::default() });
        Ok(Self {
            current: ArcSwap::from_pointee(chain),
            clock,
            folder: None,
            parts,
            rolled_back: AtomicU64::new(0),
        })
    }

    /// The chain for a request that begins now.
    pub fn current(&self) -> Arc<Chain> {
        self.current.load_full()
    }

    /// The bindings of the chain in use, those that are installed behind the others.
    pub fn bindings(&self) -> Vec<Binding> {
        let parts = self.parts.lock();
        let installed = parts.installed.plugins.iter().map(|one| &one.version.binding);
        parts.config.bindings.iter().chain(installed).cloned().collect()
    }

    /// The world that a component was made for, compiled as the chain would.
    pub fn world_of(&self, component: &[u8], budget: Budget) -> Result<World, ChainError> {
        let compilation = self.parts.lock().config.compilation.clone();
        inspect::world_of(component, budget, &compilation)
    }

    /// The deriver of a binding by itself, or what is tried in its place, to derive again with it
    /// what it made for a tenant. Blocks while it is compiled.
    pub fn again(&self, name: &str, tenant: &Tenant, instead: Instead) -> Result<Again, ChainError> {
        let whole = {
            let parts = self.parts.lock();
            match &self.folder {
                Some(folder) => parts.installed.behind(&parts.config, folder)?,
                None => parts.config.clone(),
            }
        };
        Again::load(&whole, name, tenant, instead, Arc::clone(&self.clock))
    }

    /// What is installed.
    pub fn installed(&self) -> Vec<Installed> {
        self.parts.lock().installed.plugins.clone()
    }

    /// Installs a component under the name of a binding, in place of what has it. Once this
    /// returns it is in use and stays so after a restart; an error leaves all as it was. Blocks
    /// while it is compiled.
    pub fn install(&self, binding: Binding, component: &[u8]) -> Result<Installed, ChainError> {
        let (folder, name, shadow) = (self.folder()?, binding.name.clone(), binding.shadow);
        let limit = u64::from(binding.budget.component_bytes_max);
        if component.len() as u64 > limit {
            return Err(ChainError::TooLarge { binding: name, got: component.len() as u64, limit });
        }
        let mut parts = self.parts.lock();
        let digest = folder.keep(component)?;
        let source = Source::File(file_name(&digest));
        let binding = Binding { source, digest: None, ..binding };
        let version = Version { digest, installed_unix_ms: self.clock.now_unix_millis(), binding };
        let list = parts.installed.with(version);
        let changed = self.change(&mut parts, list, folder);
        if changed.is_err() {
            // Without the component that is not used.
            let _ = folder.write(&parts.installed);
        }
        changed?;
        parts.installed.get(&name, shadow).cloned().ok_or(ChainError::NotInstalled { name })
    }

    /// Takes an installed plugin away, one that is enforced or one that is tried out.
    pub fn remove(&self, name: &str, shadow: bool) -> Result<(), ChainError> {
        let folder = self.folder()?;
        let mut parts = self.parts.lock();
        let list = parts.installed.without(name, shadow).ok_or_else(|| not_installed(name, shadow))?;
        self.change(&mut parts, list, folder)
    }

    /// Enforces a plugin that was tried out, in place of the one that is enforced under its name.
    pub fn promote(&self, name: &str) -> Result<Installed, ChainError> {
        let folder = self.folder()?;
        let mut parts = self.parts.lock();
        let tried = parts.installed.get(name, true).ok_or_else(|| not_installed(name, true))?;
        let binding = Binding { shadow: false, ..tried.version.binding.clone() };
        let installed_unix_ms = self.clock.now_unix_millis();
        let version = Version { binding, installed_unix_ms, ..tried.version.clone() };
        let list = parts.installed.with(version);
        self.change(&mut parts, list, folder)?;
        parts.installed.get(name, false).cloned().ok_or_else(|| not_installed(name, false))
    }

    /// Goes back to what was installed under a name before.
    pub fn roll_back(&self, name: &str) -> Result<Installed, ChainError> {
        let folder = self.folder()?;
        let mut parts = self.parts.lock();
        let none = || ChainError::NotInstalled { name: name.to_owned() };
        let installed = parts.installed.get(name, false).ok_or_else(none)?;
        let nothing = || ChainError::NoPrevious { name: installed.name().to_owned() };
        let list = parts.installed.rolled_back(name).ok_or_else(nothing)?;
        self.change(&mut parts, list, folder)?;
        parts.installed.get(name, false).cloned().ok_or_else(none)
    }

    /// Goes back from versions that are new and fail: those that were installed in the last ten
    /// minutes in the place of others and were left alone for a tenant since. Says which. To be
    /// called now and then; blocks while what was before is loaded.
    pub fn roll_back_failing(&self) -> Vec<String> {
        let (now, chain) = (self.clock.now_unix_millis(), self.current());
        let installed = self.installed().into_iter();
        let new = installed.filter(|one| {
            let enforced = !one.version.binding.shadow;
            enforced && one.previous.is_some() && now - one.version.installed_unix_ms < NEW.as_millis() as i64
        });
        let failing = new.filter(|one| chain.has_given_up(one.name(), &one.version.digest));
        let back = failing.filter(|one| match self.roll_back(one.name()) {
            Ok(back) => {
                let (binding, from, to) = (one.name(), &one.version.digest, &back.version.digest);
                tracing::warn!(binding, from, to, "a new version fails too often; the one before it is back");
                self.rolled_back.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(error) => {
                tracing::error!(binding = one.name(), %error, "a new version fails and stays");
                false
            }
        });
        back.map(|one| one.name().to_owned()).collect()
    }

    /// How often that happened.
    pub fn rolled_back(&self) -> u64 {
        self.rolled_back.load(Ordering::Relaxed)
    }

    /// Another configuration, with what is installed. An error leaves all as it was.
    pub fn reconfigure(&self, config: ChainConfig) -> Result<(), ChainError> {
        let mut parts = self.parts.lock();
        let whole = match &self.folder {
            Some(folder) => parts.installed.behind(&config, folder)?,
            None => config.clone(),
        };
        let chain = Chain::load_after(&whole, &self.current())?;
        parts.config = config;
        self.current.store(Arc::new(chain));
        Ok(())
    }

    /// Loads first and writes then: what is written can be loaded.
    fn change(
        &self,
        parts: &mut Parts,
        list: InstalledList,
        folder: &InstalledFolder,
    ) -> Result<(), ChainError> {
        let chain = Chain::load_after(&list.behind(&parts.config, folder)?, &self.current())?;
        folder.write(&list)?;
        parts.installed = list;
        self.current.store(Arc::new(chain));
        Ok(())
    }

    fn folder(&self) -> Result<&InstalledFolder, ChainError> {
        self.folder.as_ref().ok_or_else(|| ChainError::Config("nothing can be installed here".to_owned()))
    }
}

fn not_installed(name: &str, shadow: bool) -> ChainError {
    let name = name.to_owned();
    if shadow { ChainError::NotTriedOut { name } } else { ChainError::NotInstalled { name } }
}

#[cfg(test)]
mod tests;
