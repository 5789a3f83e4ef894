//! Handlers of `/health`, `/ready`, `/metrics`, and of the page `/` with its `/status.json`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tracing::error;

use super::endpoints::{MetricsPage, Roles};
use crate::clock;
use crate::metrics::{self, Exposition};
use crate::readiness::Readiness;
use crate::status::StatusReader;

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The page loads nothing from elsewhere.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
);
const PAGE: &str = include_str!("page.html");

#[derive(Debug)]
pub(super) struct Handlers {
    pub(super) exposition: Arc<Exposition>,
    pub(super) readiness: Readiness,
    /// What the page shows; `None` without the page.
    pub(super) status: Option<Arc<StatusReader>>,
    /// Why `/health` answers 503: the process should be restarted.
    pub(super) health_error: RefCell<Option<String>>,
}

impl Handlers {
    /// The response to a request of any method, as in CoreDNS.
    pub(super) fn respond(self: &Rc<Self>, roles: Roles, path: &str) -> Response<Full<Bytes>> {
        match (path, roles.metrics) {
            ("/", Some(_)) if self.status.is_some() => page(),
            ("/status.json", Some(_)) if let Some(status) = &self.status => report(status),
            ("/health", _) if roles.health => self.health(),
            ("/ready", _) if roles.ready => self.ready(),
            ("/metrics", Some(page)) => self.metrics(page),
            _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        }
    }

    fn health(&self) -> Response<Full<Bytes>> {
        match &*self.health_error.borrow() {
            None => text(StatusCode::OK, "OK"),
            Some(error) => text(StatusCode::SERVICE_UNAVAILABLE, error.clone()),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        if self.readiness.is_ready() {
            return text(StatusCode::OK, "OK");
        }
        let mut names = self.readiness.unmet();
        if self.readiness.is_withdrawn() {
            names.insert(0, "shutting down");
        }
        let lines: String = names.into_iter().flat_map(|name| [name, "\n"]).collect();
        text(StatusCode::SERVICE_UNAVAILABLE, lines)
    }

    fn metrics(&self, page: MetricsPage) -> Response<Full<Bytes>> {
        let rendered = match page {
            MetricsPage::Plain => self.exposition.render(),
            MetricsPage::WithScrapes => self.exposition.render_with_scrapes(),
        };
        match rendered {
            Ok(page) => {
                let mut response = text(StatusCode::OK, page);
                let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }
            Err(error) => {
                error!("Cannot write metrics: {error}");
                text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written, see the log\n")
            }
        }
    }
}

fn page() -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, PAGE);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HTML);
    headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    response
}

fn report(status: &StatusReader) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, format!("{}\n", status.status(clock::now())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PLAIN);
    response
}
