package config

import "time"

// Queue is background work.
type Queue struct {
	Workers  int           `env:"WORKERS" envDefault:"2" doc:"Jobs that are worked on at once in this process"`
	Sweep    time.Duration `env:"SWEEP" envDefault:"1m" doc:"How often work that no hint announced is looked for"`
	Disabled bool          `env:"DISABLED" envDefault:"false" doc:"True: this process works on no jobs (another one does)"`
}
