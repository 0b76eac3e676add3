package slurmfmt

// Kind says what a column held. The zero value is Missing, so a value type that
// nobody filled reports itself as absent, not as 0.
type Kind uint8

// What a column can hold.
const (
	// Missing: empty, "N/A", "(null)" or one of Slurm's unset sentinels.
	Missing Kind = iota
	// Known: a value; only now are the number fields of the type valid.
	Known
	// Unlimited: the word UNLIMITED.
	Unlimited
	// PartitionLimit: the word Partition_Limit; the partition's own limit applies.
	PartitionLimit
	// NotYet: the word Unknown, Slurm's "has not happened yet".
	NotYet
	// Never: the word None, Slurm's "never happened".
	Never
	// Invalid: text that the grammar does not cover, or a number that overflows.
	Invalid
)

var kindNames = [...]string{"missing", "known", "unlimited", "partition_limit", "not_yet", "never", "invalid"}

// String gives the kind's name for messages.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}
