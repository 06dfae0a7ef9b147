//! Attributes with a column of their own.
//!
//! A fixed, typed list of semantic conventions, dots replaced by underscores.
//! It grows only by release. An attribute of this key and type goes into its
//! column as a plain value; of another type, or a second time on the same item,
//! it goes into the residual map as JSON text, so that nothing is lost and
//! `200` is not `"200"`.

use super::{Column, Type, optional};

/// Where an attribute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// On the resource.
    Resource,
    /// On the span or log record itself.
    Item,
}

/// A promoted attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Promoted {
    /// Its key on the wire.
    pub key: &'static str,
    /// Its column.
    pub column: &'static str,
    /// `Dictionary`, `Bigint`, `Double` or `Boolean`.
    pub ty: Type,
    /// Where it is promoted from.
    pub scope: Scope,
}

impl Promoted {
    /// Its column.
    pub const fn as_column(&self) -> Column {
        optional(self.column, self.ty)
    }
}

macro_rules! promoted {
    ($scope:ident: $($key:literal $column:ident $ty:ident,)*) => {
        &[$(Promoted { key: $key, column: stringify!($column), ty: Type::$ty, scope: Scope::$scope },)*]
    };
}

/// Resource attributes, promoted in `logs` and `spans` alike. `service.name`
/// is the column `service` and not listed here.
pub const RESOURCE: &[Promoted] = promoted! { Resource:
    "service.namespace" service_namespace Dictionary,
    "service.instance.id" service_instance_id Dictionary,
    "service.version" service_version Dictionary,
    "deployment.environment" deployment_environment Dictionary,
    "deployment.environment.name" deployment_environment_name Dictionary,
    "host.name" host_name Dictionary,
    "k8s.cluster.name" k8s_cluster_name Dictionary,
    "k8s.namespace.name" k8s_namespace_name Dictionary,
    "k8s.node.name" k8s_node_name Dictionary,
    "k8s.pod.name" k8s_pod_name Dictionary,
    "k8s.container.name" k8s_container_name Dictionary,
    "k8s.deployment.name" k8s_deployment_name Dictionary,
    "container.id" container_id Dictionary,
    "container.name" container_name Dictionary,
    "cloud.provider" cloud_provider Dictionary,
    "cloud.region" cloud_region Dictionary,
    "cloud.availability_zone" cloud_availability_zone Dictionary,
    "process.pid" process_pid Bigint,
    "telemetry.sdk.language" telemetry_sdk_language Dictionary,
    "telemetry.sdk.name" telemetry_sdk_name Dictionary,
    "telemetry.sdk.version" telemetry_sdk_version Dictionary,
};

/// Span attributes, promoted in `spans`.
pub const SPAN: &[Promoted] = promoted! { Item:
    "http.request.method" http_request_method Dictionary,
    "http.response.status_code" http_response_status_code Bigint,
    "http.method" http_method Dictionary,
    "http.status_code" http_status_code Bigint,
    "http.route" http_route Dictionary,
    "http.target" http_target Dictionary,
    "http.url" http_url Dictionary,
    "http.host" http_host Dictionary,
    "url.full" url_full Dictionary,
    "url.path" url_path Dictionary,
    "url.scheme" url_scheme Dictionary,
    "server.address" server_address Dictionary,
    "server.port" server_port Bigint,
    "client.address" client_address Dictionary,
    "network.peer.address" network_peer_address Dictionary,
    "net.peer.name" net_peer_name Dictionary,
    "net.peer.ip" net_peer_ip Dictionary,
    "net.peer.port" net_peer_port Bigint,
    "db.system" db_system Dictionary,
    "db.system.name" db_system_name Dictionary,
    "db.name" db_name Dictionary,
    "db.namespace" db_namespace Dictionary,
    "db.statement" db_statement Dictionary,
    "db.query.text" db_query_text Dictionary,
    "db.operation" db_operation Dictionary,
    "db.operation.name" db_operation_name Dictionary,
    "db.collection.name" db_collection_name Dictionary,
    "rpc.system" rpc_system Dictionary,
    "rpc.service" rpc_service Dictionary,
    "rpc.method" rpc_method Dictionary,
    "rpc.grpc.status_code" rpc_grpc_status_code Bigint,
    "messaging.system" messaging_system Dictionary,
    "messaging.destination.name" messaging_destination_name Dictionary,
    "messaging.operation.type" messaging_operation_type Dictionary,
    "peer.service" peer_service Dictionary,
    "error.type" error_type Dictionary,
    "user.id" user_id Dictionary,
    "enduser.id" enduser_id Dictionary,
    "session.id" session_id Dictionary,
    "thread.name" thread_name Dictionary,
    "code.function.name" code_function_name Dictionary,
};

/// Log record attributes, promoted in `logs`.
pub const LOG: &[Promoted] = promoted! { Item:
    "exception.type" exception_type Dictionary,
    "exception.message" exception_message Dictionary,
    "error.type" error_type Dictionary,
    "http.request.method" http_request_method Dictionary,
    "http.response.status_code" http_response_status_code Bigint,
    "http.route" http_route Dictionary,
    "url.path" url_path Dictionary,
    "user.id" user_id Dictionary,
    "session.id" session_id Dictionary,
    "log.file.name" log_file_name Dictionary,
    "log.iostream" log_iostream Dictionary,
    "code.function.name" code_function_name Dictionary,
    "thread.name" thread_name Dictionary,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_keys_with_underscores() {
        for promoted in RESOURCE.iter().chain(SPAN).chain(LOG) {
            assert_eq!(promoted.column, promoted.key.replace('.', "_"));
            assert!(matches!(promoted.ty, Type::Dictionary | Type::Bigint | Type::Double | Type::Boolean));
        }
    }
}
