//! What the services do: a customer orders a ride.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::logs::Severity;
use rand::Rng;
use rand::seq::IndexedRandom;
use reqwest::Url;
use tokio::sync::{Mutex, Semaphore};

use super::service::{Fault, Operation, Scope, Service};
use super::telemetry::Transport;

const CUSTOMERS: [(&str, &str); 4] = [
    ("123", "Rachel's Floral Designs"),
    ("392", "Trom Chocolatier"),
    ("567", "Amazing Coffee Roasters"),
    ("731", "Japanese Desserts"),
];
const DRIVERS_NEARBY: usize = 10;
const ROUTE_WORKERS: usize = 3;
/// Every fifth lookup of a driver times out, as a tired cache does.
const REDIS_TIMEOUT_EVERY: u64 = 5;
const REDIS_TRIES: usize = 3;

/// The six services and what they share.
#[derive(Debug)]
pub(super) struct Rides {
    frontend: Arc<Service>,
    customer: Arc<Service>,
    driver: Arc<Service>,
    route: Arc<Service>,
    redis: Arc<Service>,
    mysql: Arc<Service>,
    /// MySQL's only connection: rides that meet here wait for each other.
    connection: Mutex<()>,
    route_workers: Semaphore,
    redis_lookups: AtomicU64,
}

impl Rides {
    /// Two services send over HTTP, the others over gRPC.
    pub(super) fn start(grpc: &Url, http: &Url) -> anyhow::Result<Self> {
        let (grpc, http) = (Transport::Grpc(grpc.clone()), Transport::Http(http.clone()));
        Ok(Self {
            frontend: Service::start("frontend", &http)?,
            customer: Service::start("customer", &grpc)?,
            driver: Service::start("driver", &grpc)?,
            route: Service::start("route", &http)?,
            redis: Service::start("redis", &grpc)?,
            mysql: Service::start("mysql", &grpc)?,
            connection: Mutex::new(()),
            route_workers: Semaphore::new(ROUTE_WORKERS),
            redis_lookups: AtomicU64::new(0),
        })
    }

    /// Sends what the services still hold.
    pub(super) async fn shut_down(&self) -> anyhow::Result<()> {
        for service in [&self.frontend, &self.customer, &self.driver, &self.route, &self.redis, &self.mysql] {
            let telemetry = service.telemetry().clone();
            tokio::task::spawn_blocking(move || telemetry.shut_down()).await??;
        }
        Ok(())
    }

    /// A customer orders a ride. Faults end in spans and logs, not here.
    pub(super) async fn order(&self) {
        let (id, name) = *CUSTOMERS.choose(&mut rand::rng()).unwrap_or(&CUSTOMERS[0]);
        let operation = Operation::new(
            "HTTP GET /dispatch",
            [
                KeyValue::new("http.request.method", "GET"),
                KeyValue::new("http.route", "/dispatch"),
                KeyValue::new("url.path", "/dispatch"),
                KeyValue::new("user.id", id),
            ],
        );
        let headers = HashMap::new();
        drop(self.frontend.serve(&headers, &operation, |scope| self.dispatch(scope, id, name)).await);
    }

    async fn dispatch(&self, scope: Scope, id: &'static str, name: &'static str) -> Result<(), Fault> {
        scope.log(
            Severity::Info,
            format!("HTTP request received: GET /dispatch?customer={id}"),
            &[("user.id", id.into())],
        );
        let answer = self.find_ride(&scope, id, name).await;
        let (status, severity) = if answer.is_ok() { (200, Severity::Info) } else { (500, Severity::Error) };
        scope.attribute(KeyValue::new("http.response.status_code", status));
        match &answer {
            Ok((driver, eta)) => scope.log(
                severity,
                format!("Dispatch successful: driver {driver} will arrive in {} min", eta.as_millis() / 60),
                &[("driver", driver.clone().into()), ("http.response.status_code", i64::from(status).into())],
            ),
            Err(fault) => scope.log(
                severity,
                format!("Dispatch failed: {}", fault.0),
                &[("http.response.status_code", i64::from(status).into())],
            ),
        }
        answer.map(drop)
    }

    async fn find_ride(
        &self,
        scope: &Scope,
        id: &'static str,
        name: &'static str,
    ) -> Result<(String, Duration), Fault> {
        let operation = Operation::new("HTTP GET /customer", [KeyValue::new("http.route", "/customer")]);
        scope.call(&self.customer, operation, |scope| self.load_customer(scope, id, name)).await?;
        let operation = Operation::new(
            "/driver.DriverService/FindNearest",
            [KeyValue::new("rpc.system", "grpc"), KeyValue::new("rpc.method", "FindNearest")],
        );
        let drivers = scope.call(&self.driver, operation, |scope| self.find_nearest(scope)).await?;
        scope.log(
            Severity::Info,
            format!("Found {} drivers near {name}", drivers.len()),
            &[("drivers", (drivers.len() as i64).into())],
        );
        let routes = drivers.into_iter().map(|driver| async move {
            let operation = Operation::new("HTTP GET /route", [KeyValue::new("http.route", "/route")]);
            let eta = scope.call(&self.route, operation, |scope| self.compute_route(scope)).await?;
            Ok((driver, eta))
        });
        let routes = futures::future::try_join_all(routes).await?;
        let best = routes.into_iter().min_by_key(|(_, eta)| *eta);
        best.ok_or_else(|| Fault("no driver nearby".to_owned()))
    }

    async fn load_customer(&self, scope: Scope, id: &'static str, name: &'static str) -> Result<(), Fault> {
        scope.log(Severity::Info, format!("Loading customer {id}"), &[("user.id", id.into())]);
        let statement = format!("SELECT * FROM customer WHERE customer_id={id}");
        let operation = Operation::new(
            "SQL SELECT",
            [
                KeyValue::new("db.system.name", "mysql"),
                KeyValue::new("db.namespace", "rides"),
                KeyValue::new("db.query.text", statement),
            ],
        );
        scope.call(&self.mysql, operation, |scope| self.select(scope)).await?;
        scope.log(Severity::Debug, format!("Loaded customer {id}: {name}"), &[]);
        Ok(())
    }

    async fn select(&self, scope: Scope) -> Result<(), Fault> {
        let Ok(_connection) = self.connection.try_lock() else {
            scope.log(Severity::Warn, "Waiting for the connection: another request holds it".to_owned(), &[]);
            scope.event("waiting for lock", Vec::new());
            let _connection = self.connection.lock().await;
            scope.event("acquired lock", Vec::new());
            scope.work(Duration::from_millis(60), 0.5).await;
            return Ok(());
        };
        scope.work(Duration::from_millis(60), 0.5).await;
        Ok(())
    }

    async fn find_nearest(&self, scope: Scope) -> Result<Vec<String>, Fault> {
        let operation = Operation::new("FindDriverIDs", [KeyValue::new("db.system.name", "redis")]);
        let ids = scope.call(&self.redis, operation, find_driver_ids).await?;
        let mut drivers = Vec::with_capacity(ids.len());
        for id in ids {
            drivers.push(self.driver_with_retries(&scope, id).await?);
        }
        scope.log(
            Severity::Info,
            "Search successful".to_owned(),
            &[("drivers", (drivers.len() as i64).into())],
        );
        Ok(drivers)
    }

    async fn driver_with_retries(&self, scope: &Scope, id: String) -> Result<String, Fault> {
        let mut tries = 0;
        loop {
            let operation = Operation::new(
                "GetDriver",
                [KeyValue::new("db.system.name", "redis"), KeyValue::new("driver", id.clone())],
            );
            let answer = scope.call(&self.redis, operation, |scope| self.get_driver(scope, &id)).await;
            tries += 1;
            match answer {
                Err(fault) if tries < REDIS_TRIES => scope.log(
                    Severity::Error,
                    format!("Retrying GetDriver after error: {}", fault.0),
                    &[("driver", id.clone().into()), ("retry", (tries as i64).into())],
                ),
                answer => return answer.map(|()| id),
            }
        }
    }

    async fn get_driver(&self, scope: Scope, id: &str) -> Result<(), Fault> {
        let lookup = self.redis_lookups.fetch_add(1, Ordering::Relaxed);
        if lookup % REDIS_TIMEOUT_EVERY == REDIS_TIMEOUT_EVERY - 1 {
            scope.work(Duration::from_millis(33), 0.3).await;
            scope.log(
                Severity::Error,
                "redis timeout".to_owned(),
                &[("driver", id.to_owned().into()), ("error.type", "timeout".into())],
            );
            return Err(Fault("redis timeout".to_owned()));
        }
        scope.work(Duration::from_millis(10), 0.5).await;
        Ok(())
    }

    async fn compute_route(&self, scope: Scope) -> Result<Duration, Fault> {
        let _worker = self.route_workers.acquire().await.map_err(|closed| Fault(closed.to_string()))?;
        scope.work(Duration::from_millis(25), 0.6).await;
        Ok(Duration::from_millis(rand::rng().random_range(120..1_800)))
    }
}

async fn find_driver_ids(scope: Scope) -> Result<Vec<String>, Fault> {
    scope.work(Duration::from_millis(20), 0.4).await;
    let ids: Vec<String> =
        (0..DRIVERS_NEARBY).map(|_| format!("T7{:05}C", rand::rng().random_range(0..100_000))).collect();
    scope.log(
        Severity::Info,
        format!("Found {} drivers", ids.len()),
        &[("drivers", (ids.len() as i64).into())],
    );
    Ok(ids)
}
