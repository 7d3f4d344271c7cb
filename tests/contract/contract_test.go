package contract

import "testing"

func TestTheSimulatedAWSKeepsTheContract(t *testing.T) {
	for _, c := range contracts {
		t.Run(c.name, func(t *testing.T) {
			if err := c.check(t.Context(), simulatedWorld(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMotoAgreesButForItsKnownDeviations(t *testing.T) {
	address := startMoto(t)
	for _, c := range contracts {
		t.Run(c.name, func(t *testing.T) {
			err := c.check(t.Context(), motoWorld(t, address))
			switch {
			case c.moto == "" && err != nil:
				t.Error(err)
			case c.moto != "" && err == nil:
				t.Errorf("moto is said to deviate, and does not: %s", c.moto)
			case c.moto != "":
				t.Logf("deviates: %s: %v", c.moto, err)
			}
		})
	}
}
