//! From bytes to something that can be instantiated.

use std::path::PathBuf;

use hashbrown::HashMap;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{self, ComponentExportIndex, InstancePre, Linker};

use crate::builtin;
use crate::code_cache::CodeCache;
use crate::compile::{Compilation, Compiler, Fault};
use crate::config::{Binding, Budget, PAIRS, Source, World};
use crate::engine::Sandbox;
use crate::error::ChainError;
use crate::failure::shorten;
use crate::host::{self, State};
use crate::signed::TrustedKeys;

/// Every version of the package whose plugins run, the newest first. Within 0.1 interfaces
/// are only added, so one table of functions serves all of them.
const VERSIONS: [&str; 3] = ["0.1.2", "0.1.1", "0.1.0"];

/// The name of an interface of the package.
fn name_of(interface: &str, version: &str) -> String {
    format!("isinglass:plugin/{interface}@{version}")
}

/// Whether a component may import this.
fn may_import(name: &str) -> bool {
    let of_package = |name: &str| name.split_once('@').map(|(name, _)| name.to_owned());
    let known = host::IMPORTS.iter().any(|import| of_package(import) == of_package(name));
    let version = name.split_once('@').map_or("", |(_, version)| version);
    known && VERSIONS.contains(&version)
}

/// An interface that the component exports, of the newest version that it has.
fn exported(component: &component::Component, interface: &str) -> Option<(ComponentExportIndex, String)> {
    let find = |version: &&str| {
        let name = name_of(interface, version);
        component.get_export_index(None, &name).map(|index| (index, name))
    };
    VERSIONS.iter().find_map(find)
}

/// A compiled component whose imports are checked, linked for one world.
#[derive(Clone)]
pub(crate) struct Component {
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: Exports,
    /// sha256 of the component in hex.
    pub(crate) digest: String,
}

/// A component that imports nothing that it may not.
pub(crate) struct Compiled {
    pub(crate) component: component::Component,
    digest: [u8; 32],
    /// Of the file.
    pub(crate) bytes: u64,
}

impl Compiled {
    /// Names of interfaces that it imports.
    pub(crate) fn imports(&self, engine: &Engine) -> Vec<String> {
        self.component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect()
    }

    /// The world that it was made for; the error says what it exports instead.
    pub(crate) fn world(&self, engine: &Engine) -> Result<World, String> {
        let has = |world: &World| {
            let mut interfaces = world.interfaces().iter();
            interfaces.any(|interface| exported(&self.component, interface).is_some())
        };
        World::ALL.into_iter().find(has).ok_or_else(|| {
            let ty = self.component.component_type();
            let found: Vec<_> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
            let known = World::ALL.map(|world| name_of(world.interface(), VERSIONS[0])).join(", ");
            let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
            format!("it must export one of {known}, and exports {found}")
        })
    }
}

/// Where the functions of a component's world are.
#[derive(Clone, Copy)]
pub(crate) struct Exports {
    pub(crate) describe: ComponentExportIndex,
    pub(crate) configure: ComponentExportIndex,
    pub(crate) run: ComponentExportIndex,
    /// The others of a function plugin.
    pub(crate) compute: Option<Compute>,
    /// `admit` of limiters, `metrics` or `declare` of derivers.
    pub(crate) second: Option<ComponentExportIndex>,
    /// Whether a deriver is one of the interface `derive-pairs`.
    pub(crate) pairs: bool,
}

/// The functions of a function plugin besides `call`.
#[derive(Clone, Copy)]
pub(crate) struct Compute {
    pub(crate) functions: ComponentExportIndex,
    pub(crate) accumulate: ComponentExportIndex,
    pub(crate) merge: ComponentExportIndex,
    pub(crate) finish: ComponentExportIndex,
}

fn compute(find: &impl Fn(&str, &str) -> Result<ComponentExportIndex, String>) -> Result<Compute, String> {
    let of = |function| find(World::Function.interface(), function);
    Ok(Compute {
        functions: of("functions")?,
        accumulate: of("accumulate")?,
        merge: of("merge")?,
        finish: of("finish")?,
    })
}

/// Loads components, each one once.
pub(crate) struct Loader<'a> {
    sandbox: &'a Sandbox,
    linker: Linker<State>,
    compiled: HashMap<[u8; 32], component::Component>,
    compiler: Compiler,
    code: Option<CodeCache>,
    trusted: TrustedKeys,
}

impl<'a> Loader<'a> {
    /// A loader for plugins of this sandbox.
    pub(crate) fn new(sandbox: &'a Sandbox, compilation: &Compilation) -> Result<Self, ChainError> {
        let mut linker = Linker::new(&sandbox.engine);
        host::link(&mut linker).map_err(|error| ChainError::Sandbox(format!("{error:#}")))?;
        let opened = |folder: &PathBuf| {
            CodeCache::open(folder)
                .inspect_err(|error| tracing::warn!("plugins are compiled at every start: {error}"))
                .ok()
        };
        Ok(Self {
            sandbox,
            linker,
            compiled: HashMap::new(),
            compiler: compilation.compiler.clone(),
            code: compilation.code_dir.as_ref().and_then(opened),
            trusted: TrustedKeys::default(),
        })
    }

    /// Loads only what one of these keys has signed, if there are any.
    pub(crate) fn trusting(self, trusted: TrustedKeys) -> Self {
        Self { trusted, ..self }
    }

    /// What can be instantiated, if it imports nothing that is not there.
    #[cfg(test)]
    pub(crate) fn linked(&self, component: &component::Component) -> Option<InstancePre<State>> {
        self.linker.instantiate_pre(component).ok()
    }

    /// Reads, checks, compiles and links the component of a binding.
    pub(crate) fn load(&mut self, binding: &Binding) -> Result<Component, ChainError> {
        let Compiled { component, digest, .. } = self.compile(binding)?;
        let fault = |text: String| fault(binding, &text);
        let exports = exports(&component, binding.world).map_err(fault)?;
        let pre = self.linker.instantiate_pre(&component).map_err(|error| fault(format!("{error:#}")))?;
        Ok(Component { pre, exports, digest: hex(&digest) })
    }

    /// The same, but for what depends on the world.
    pub(crate) fn compile(&mut self, binding: &Binding) -> Result<Compiled, ChainError> {
        let bytes = read(binding)?;
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        check_digest(binding, &digest)?;
        self.trusted.check(binding, &bytes)?;
        let component = match self.compiled.get(&digest) {
            Some(component) => component.clone(),
            None => self
                .machine_code(&bytes, &digest, &binding.budget)
                .map_err(|fault| not_compiled(binding, fault))?,
        };
        check_imports(binding, &component, &self.sandbox.engine)?;
        self.compiled.insert(digest, component.clone());
        Ok(Compiled { component, digest, bytes: bytes.len() as u64 })
    }

    /// From the disk where it is, else compiled and put there.
    fn machine_code(
        &self,
        bytes: &[u8],
        digest: &[u8; 32],
        budget: &Budget,
    ) -> Result<component::Component, Fault> {
        let engine = &self.sandbox.engine;
        let known = self.code.as_ref().and_then(|code| code.get(engine, digest));
        if let Some(component) = known {
            return Ok(component);
        }
        let component = self.compiler.compile(self.sandbox, budget, bytes)?;
        if let Some(code) = &self.code
            && let Err(error) = code.put(engine, digest, &component)
        {
            tracing::warn!("the code of a plugin is not kept: {error}");
        }
        Ok(component)
    }
}

fn not_compiled(binding: &Binding, fault: Fault) -> ChainError {
    let name = binding.name.clone();
    match fault {
        Fault::Component(text) => self::fault(binding, &text),
        Fault::Limit { key, limit } => ChainError::CompileLimit { binding: name, key, limit },
        Fault::Start(text) => ChainError::Compiler { binding: name, fault: shorten(&text) },
    }
}

fn fault(binding: &Binding, fault: &str) -> ChainError {
    ChainError::Component { binding: binding.name.clone(), fault: shorten(fault) }
}

fn read(binding: &Binding) -> Result<std::borrow::Cow<'_, [u8]>, ChainError> {
    let limit = u64::from(binding.budget.component_bytes_max);
    let too_large = |got: u64| ChainError::TooLarge { binding: binding.name.clone(), got, limit };
    let bytes = match &binding.source {
        Source::Bytes(bytes) => std::borrow::Cow::Borrowed(&**bytes),
        Source::Builtin(name) => {
            let bytes = builtin::component(name).ok_or_else(|| ChainError::Binding {
                binding: binding.name.clone(),
                fault: format!("there is no built-in plugin {name:?}; there are: {}", builtin::names()),
            })?;
            std::borrow::Cow::Borrowed(bytes)
        }
        Source::File(path) => {
            let failed =
                |source| ChainError::Read { binding: binding.name.clone(), path: path.clone(), source };
            let size = std::fs::metadata(path).map_err(failed)?.len();
            if size > limit {
                return Err(too_large(size));
            }
            std::borrow::Cow::Owned(std::fs::read(path).map_err(failed)?)
        }
    };
    match bytes.len() as u64 {
        got if got > limit => Err(too_large(got)),
        _ => Ok(bytes),
    }
}

fn check_digest(binding: &Binding, digest: &[u8; 32]) -> Result<(), ChainError> {
    let got = hex(digest);
    match &binding.digest {
        Some(wanted) if wanted.strip_prefix("sha256:") != Some(got.as_str()) => {
            Err(ChainError::Digest { binding: binding.name.clone(), got, wanted: wanted.clone() })
        }
        _ => Ok(()),
    }
}

fn check_imports(
    binding: &Binding,
    component: &component::Component,
    engine: &Engine,
) -> Result<(), ChainError> {
    let ty = component.component_type();
    let forbidden = ty.imports(engine).find(|(name, _)| !may_import(name));
    forbidden.map_or(Ok(()), |(import, _)| {
        Err(ChainError::ForbiddenImport { binding: binding.name.clone(), import: shorten(import) })
    })
}

fn exports(component: &component::Component, world: World) -> Result<Exports, String> {
    let find = |interface: &str, function: &str| {
        let newest = name_of(interface, VERSIONS[0]);
        let missing = || format!("a {} must export {newest}#{function}", world.as_str());
        let (index, _) = exported(component, interface).ok_or_else(missing)?;
        component.get_export_index(Some(&index), function).ok_or_else(missing)
    };
    let exports = |interface: &&&str| exported(component, interface).is_some();
    let interface = world.interfaces().iter().find(exports).map_or(world.interface(), |found| *found);
    let pairs = interface == PAIRS;
    let second = match world {
        World::Transformer | World::Validator => None,
        World::Function => None,
        World::Limiter => Some("admit"),
        World::Deriver => Some(if pairs { "declare" } else { "metrics" }),
    };
    Ok(Exports {
        describe: find("lifecycle", "describe")?,
        configure: find("lifecycle", "configure")?,
        run: find(interface, if world == World::Function { "call" } else { "run" })?,
        compute: (world == World::Function).then(|| compute(&find)).transpose()?,
        second: second.map(|function| find(interface, function)).transpose()?,
        pairs,
    })
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| DIGITS[usize::from(nibble)] as char)
        .collect()
}
