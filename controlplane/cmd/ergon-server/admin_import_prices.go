package main

import (
	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
)

const pricesHelp = `Import prices of electricity per MWh, which give each job its cost: energy in each interval times that interval's price.

  prices.csv   a header and lines of start,price or start,end,price; parted by commas, semicolons or tabs. Times are
               RFC 3339 or, with --timezone, local; an empty price or "-" is a time without one. Without an end a price
               lasts until the next start.
  smard.json   chart_data of smard.de: {"series": [[milliseconds, price or null], …]}, EUR per MWh
  --constant   one price for all time that no interval covers

Prices may be negative. Importing the same file again changes nothing; where the file says something else than what is
stored the file counts, and the number of replaced intervals is printed. Bad lines are printed and left out.
Nothing is fetched: download the file where you may, and import it here.`

const carbonHelp = `Import the carbon intensity of electricity in gram of CO2 equivalent per kWh, which gives each job its carbon.
Files and options are those of admin import prices.`

func newImportTariff(p *process, kind tariff.Kind) *cobra.Command {
	cmd := &cobra.Command{Use: "prices [FILE]", Short: "Import prices of electricity: CSV, SMARD's JSON or a constant", Long: pricesHelp}
	if kind == tariff.Carbon {
		cmd = &cobra.Command{Use: "carbon [FILE]", Short: "Import carbon intensity: CSV, SMARD's JSON or a constant", Long: carbonHelp}
	}
	return newTariffCommand(p, kind, cmd)
}
