// Package dashboard holds the part of Grafana's dashboard model (schema version 41, Grafana 12) that Ergon uses, as Go
// types, and writes it as JSON.
//
// JSON refuses a dashboard that breaks the rules of Check: a dashboard is then wrong at generation, not on a screen.
package dashboard
