"""What the device and the cloud must agree on: the wire, the schedule, the solver and the plan."""
