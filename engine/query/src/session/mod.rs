//! A DataFusion session per query and tenant.
//!
//! Functions, rules and caches are made once and shared; catalog, memory pool and
//! object store belong to one query. A session can reach nothing but the files of
//! its tenant's view.

mod catalog;
mod query;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use datafusion::common::Result;
use datafusion::execution::cache::cache_manager::{CacheManagerConfig, FileMetadataCache};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::prelude::SessionConfig;
use isinglass_model::Tenant;
use isinglass_model::functions::{ColumnFunction, FunctionSource};
use isinglass_store::View;
use parking_lot::RwLock;

pub(crate) use catalog::{CATALOG, METRICS, PUBLIC, SYSTEM, TenantCatalog};
pub(crate) use query::QuerySession;

use crate::config::{Configs, QueryConfig};
use crate::functions::{
    self, FunctionLimits, JoinedPlanner, MapValuePlanner, Room, TraceTree, register_plugins,
};
use crate::memory::SharedMemory;
use crate::objects::OnlyTables;
use crate::planning::Checkpoints;
use crate::promql::{Brought, PromqlFunction, Statement, Views};
use crate::rules::{self, PhysicalRule};
use crate::system::System;
use crate::table::Indexes;

/// Makes sessions.
pub(crate) struct Sessions {
    template: SessionState,
    /// Rules for physical plans that are plain.
    short: Arc<[PhysicalRule]>,
    runtime: RuntimeEnv,
    memory: Arc<SharedMemory>,
    /// Limits, tenant by tenant.
    pub(crate) configs: Configs,
    /// Statements that are metrics.
    pub(crate) views: Views,
    pub(crate) system: System,
    /// What is known of rows of files.
    pub(crate) indexes: Indexes,
    /// Functions of plugins, once they are known.
    plugins: RwLock<Option<Arc<dyn FunctionSource>>>,
    room: Room,
    function_limits: FunctionLimits,
}

impl Sessions {
    pub(crate) fn new(config: &QueryConfig, system: System, room: &Room) -> Result<Self> {
        let runtime = RuntimeEnvBuilder::new()
            .with_cache_manager(
                CacheManagerConfig::default()
                    .with_file_metadata_cache(Some(Arc::clone(&system.caches.metadata) as _))
                    .with_metadata_cache_limit(config.metadata_cache_bytes)
                    .with_list_files_cache_limit(0)
                    .with_file_statistics_cache_limit(0),
            )
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build()?;
        Ok(Self {
            short: rules::physical_of_plain(&rules::physical()),
            template: template(config, room),
            runtime,
            memory: SharedMemory::new(config.memory_bytes),
            configs: Configs::new(config),
            views: Views::new(config),
            indexes: Indexes {
                tokens: Arc::clone(&system.caches.tokens),
                filters: Arc::clone(&system.caches.filters),
            },
            system,
            plugins: RwLock::default(),
            room: room.clone(),
            function_limits: config.functions(),
        })
    }

    /// From now on queries may call these functions.
    pub(crate) fn set_plugins(&self, source: Arc<dyn FunctionSource>) {
        // Rules are read before anybody asks, and may call those that all tenants have.
        Brought::new(source.functions(&Tenant::default()));
        *self.plugins.write() = Some(source);
    }

    /// The functions of plugins that a tenant may call.
    pub(crate) fn plugins_of(&self, tenant: &Tenant) -> Vec<Arc<dyn ColumnFunction>> {
        self.plugins.read().as_ref().map(|source| source.functions(tenant)).unwrap_or_default()
    }

    /// The session of one statement; the most memory that it takes at once is noted.
    pub(crate) fn open(
        self: &Arc<Self>,
        statement: Arc<Statement>,
        memory_peak: Arc<AtomicUsize>,
    ) -> QuerySession {
        let view = &statement.view;
        let catalog = TenantCatalog::new(Arc::clone(view), Arc::clone(self));
        let runtime = RuntimeEnv {
            memory_pool: self.pool(&view.tenant, memory_peak),
            object_store_registry: Arc::new(OnlyTables(view.objects())),
            ..self.runtime.clone()
        };
        let mut session = self.session(catalog, &view.tenant, Some(Arc::new(runtime)));
        session.state.register_udtf("trace_tree", Arc::new(TraceTree::new(Arc::clone(view))));
        session.state.register_udtf("promql", Arc::new(PromqlFunction(statement)));
        session
    }

    /// A session for a view of PromQL, which cannot call `promql`. Without memory it can plan, not
    /// run.
    pub(crate) fn of_view(
        self: &Arc<Self>,
        view: &Arc<View>,
        memory: Option<&Arc<dyn MemoryPool>>,
    ) -> QuerySession {
        let catalog = TenantCatalog::new(Arc::clone(view), Arc::clone(self));
        let runtime = memory.map(|memory| {
            Arc::new(RuntimeEnv {
                memory_pool: Arc::clone(memory),
                object_store_registry: Arc::new(OnlyTables(view.objects())),
                ..self.runtime.clone()
            })
        });
        self.session(catalog, &view.tenant, runtime)
    }

    /// The memory of one query.
    pub(crate) fn pool(&self, tenant: &Tenant, memory_peak: Arc<AtomicUsize>) -> Arc<dyn MemoryPool> {
        self.memory.pool(self.configs.of(tenant).query_memory_bytes, memory_peak)
    }

    /// Footers and page indexes of files.
    pub(crate) fn footers(&self) -> Arc<FileMetadataCache> {
        self.runtime.cache_manager.get_file_metadata_cache()
    }

    /// A session over a catalog; without a runtime it can plan, not run.
    fn session(
        &self,
        catalog: TenantCatalog,
        tenant: &Tenant,
        runtime: Option<Arc<RuntimeEnv>>,
    ) -> QuerySession {
        let runtime = runtime.unwrap_or_else(|| Arc::new(self.runtime.clone()));
        let mut state = self.template.clone();
        state.register_catalog_list(Arc::new(catalog));
        let (plugins, memory) = (self.plugins_of(tenant), &runtime.memory_pool);
        if let Err(error) = register_plugins(&mut state, plugins, memory, self.function_limits, &self.room) {
            // Names are free, which is all that it asks for.
            tracing::error!(%tenant, %error, "functions of plugins are not there");
        }
        // `now()` is one moment for the whole query.
        state.mark_start_execution();
        QuerySession::new(state, runtime, Arc::clone(&self.short))
    }
}

fn template(config: &QueryConfig, room: &Room) -> SessionState {
    let mut planners = SessionStateDefaults::default_expr_planners();
    // after the one for lists
    planners.push(Arc::new(JoinedPlanner::new(config.functions(), room)));
    planners.insert(0, Arc::new(MapValuePlanner::new()));
    planners.insert(0, Arc::new(Checkpoints));
    SessionStateBuilder::new()
        .with_config(session_config(config))
        .with_analyzer_rules(rules::analyzer())
        .with_optimizer_rules(rules::logical())
        .with_physical_optimizer_rules(rules::physical())
        .with_expr_planners(planners)
        .with_scalar_functions(functions::scalar(config.functions(), room))
        .with_aggregate_functions(functions::aggregate(config.functions()))
        .with_window_functions(functions::window())
        .with_table_function_list(SessionStateDefaults::default_table_functions())
        .build()
}

fn session_config(config: &QueryConfig) -> SessionConfig {
    let mut session = SessionConfig::new()
        .with_target_partitions(config.threads())
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, PUBLIC)
        .with_information_schema(true);
    let options = session.options_mut();
    // Names of metrics and labels have upper and lower case.
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.collect_spans = true;
    options.execution.enable_recursive_ctes = false;
    // `table::shares` shares files out, and by rows.
    options.optimizer.repartition_file_scans = false;
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.parquet.pushdown_filters = true;
    // `table::cheap` orders filters, and by what they are about.
    options.execution.parquet.reorder_filters = false;
    session
}
