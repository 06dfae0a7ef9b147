//! A request to one of the paths: who asks, and for what.

use axum::RequestExt;
use axum::extract::{FromRequest, Path, RawQuery, Request};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use isinglass_model::Tenant;

use super::failure::Failure;
use super::params::Parameters;
use crate::app::App;
use crate::sender;

/// A request whose tenant and parameters are read.
pub(super) struct Call {
    pub app: App,
    pub tenant: Tenant,
    pub headers: HeaderMap,
    pub parameters: Parameters,
    /// The variable part of the path, if it has one.
    pub name: String,
}

impl FromRequest<App> for Call {
    type Rejection = Failure;

    async fn from_request(mut request: Request, app: &App) -> Result<Self, Failure> {
        let tenant = sender::tenant(request.headers())?;
        let name = request.extract_parts::<Path<String>>().await.map(|Path(name)| name).unwrap_or_default();
        let RawQuery(query) = request.extract_parts::<RawQuery>().await.unwrap_or(RawQuery(None));
        let headers = std::mem::take(request.headers_mut());
        let parameters = Parameters::read(app, &headers, query.as_deref(), request.into_body()).await?;
        Ok(Self { app: app.clone(), tenant, headers, parameters, name })
    }
}

/// What a handler answers.
pub(super) type Answer = Result<Response, Failure>;

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        Self::into_response(self)
    }
}
