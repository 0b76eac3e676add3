package config

import "time"

// Insight is the analysis of jobs.
type Insight struct {
	ClusterDir string `env:"CLUSTER_DIR" doc:"Directory with what a site knows of its nodes (watts, PUE, rules of partitions): CLUSTER.json for each cluster, see docs/efficiency.md"`

	PricesURL      Secret        `env:"PRICES_URL" doc:"Where prices of electricity are fetched from: a CSV, or SMARD's chart_data of one series such as https://www.smard.de/app/chart_data/4169/DE-LU. Empty: nothing is ever fetched"`
	PricesCurrency string        `env:"PRICES_CURRENCY" envDefault:"EUR" doc:"Money of the fetched prices, per MWh"`
	CarbonURL      Secret        `env:"CARBON_URL" doc:"Where the carbon intensity (gram CO2 equivalent per kWh) is fetched from, in the same forms. Empty: nothing is ever fetched"`
	FetchEvery     time.Duration `env:"FETCH_EVERY" envDefault:"6h" doc:"How often prices and carbon intensity are fetched"`
}
