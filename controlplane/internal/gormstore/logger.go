package gormstore

import (
	"context"
	"log/slog"
	"time"

	"gorm.io/gorm/logger"
)

const slowQuery = time.Second

// quietLogger reports slow statements without their text or arguments, which may hold names and hashes.
// Errors are returned to the caller, who logs them or not.
type quietLogger struct{ log *slog.Logger }

func (l quietLogger) LogMode(logger.LogLevel) logger.Interface { return l }
func (l quietLogger) Info(context.Context, string, ...any)     {}
func (l quietLogger) Warn(context.Context, string, ...any)     {}
func (l quietLogger) Error(context.Context, string, ...any)    {}

func (l quietLogger) Trace(ctx context.Context, begin time.Time, _ func() (string, int64), _ error) {
	if took := time.Since(begin); took >= slowQuery {
		l.log.WarnContext(ctx, "slow database statement", "took", took)
	}
}
