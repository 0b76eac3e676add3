package config

import "time"

// Store is the object store: external when URL is set, else the embedded one.
type Store struct {
	URL       string `env:"URL" doc:"S3 endpoint for the server's own calls, http(s)://host:port; empty: the embedded store"`
	PublicURL string `env:"PUBLIC_URL" doc:"The only endpoint that is signed: as login nodes see the store. Empty: the same as URL"`
	Region    string `env:"REGION" envDefault:"us-east-1" doc:"Region in signatures"`
	Bucket    string `env:"BUCKET" envDefault:"ergon" doc:"Bucket for everything"`

	AccessKey    string `env:"ACCESS_KEY" doc:"Maintenance identity: create, complete, head, list, delete; signs nothing for clients"`
	SecretKey    Secret `env:"SECRET_KEY" doc:"Its secret"`
	PutAccessKey string `env:"PUT_ACCESS_KEY" doc:"Identity that signs uploads, may only s3:PutObject. Needed with URL; what it may do is tried out at start"`
	PutSecretKey Secret `env:"PUT_SECRET_KEY" doc:"Its secret"`
	GetAccessKey string `env:"GET_ACCESS_KEY" doc:"Identity that signs downloads, may only s3:GetObject. Needed with URL; what it may do is tried out at start"`
	GetSecretKey Secret `env:"GET_SECRET_KEY" doc:"Its secret"`

	Listen      string        `env:"LISTEN" envDefault:"127.0.0.1:0" doc:"Embedded store: address to listen on; port 0 takes a free one and keeps it in the data directory"`
	TLSCertFile string        `env:"TLS_CERT_FILE" doc:"Embedded store: PEM certificate chain"`
	TLSKeyFile  string        `env:"TLS_KEY_FILE" doc:"Embedded store: PEM private key"`
	CAFile      string        `env:"CA_FILE" doc:"PEM certificates to trust for URL, beside the system's"`
	BucketSetup string        `env:"BUCKET_SETUP" envDefault:"apply" doc:"apply: turn on versioning, encryption and clean-up rules of the bucket at start, as far as the store has them and maintenance may; keep: leave the bucket as it is"`
	URLTTL      time.Duration `env:"URL_TTL" envDefault:"10m" doc:"Life of a presigned URL, 1m to 10m"`
}

// Quota is what an account may store for which no rule holds (ergon-server admin quota), and what one job may.
type Quota struct {
	Bytes      int64 `env:"BYTES" envDefault:"107374182400" doc:"Bytes that an account may store, where ergon-server admin quota says nothing else"`
	Objects    int64 `env:"OBJECTS" envDefault:"1000000" doc:"Objects that an account may store, where ergon-server admin quota says nothing else"`
	JobBytes   int64 `env:"JOB_BYTES" envDefault:"0" doc:"Bytes that the outputs of one job may take; 0: only the account's quota counts"`
	JobObjects int64 `env:"JOB_OBJECTS" envDefault:"0" doc:"Objects that the outputs of one job may be; 0: only the account's quota counts"`
}
