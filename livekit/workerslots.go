package livekit

import "math"

// serverTargetLoad is the load up to which LiveKit's open server gives jobs to a worker, whatever that one's own
// threshold is (agents.target_load); a worker without a threshold reports at most unlimitedLoad.
const (
	serverTargetLoad = 0.7
	unlimitedLoad    = 0.6
)

// Of what a promised job will cost, the average of those that run says something once there are meanJobs of them; before,
// the load is mostly not theirs, and a job counts as one of jobsPerCPU.
const (
	meanJobs   = 4
	jobsPerCPU = 50
)

// slots counts the jobs that run and the requests that may become jobs. A request holds its slot from the decision to
// consider it until it is a job or refused, so two requests at once never get the same last place.
type slots struct {
	threshold float64
	max       int // 0: no limit
	expected  int // the jobs that the machine is good for

	running, reserved int
	draining          bool
}

// reserve takes a slot at the given load, or says why not.
func (s *slots) reserve(load float64) (refusal string) {
	switch {
	case s.draining:
		return "draining"
	case s.max > 0 && s.running+s.reserved >= s.max:
		return "all jobs taken"
	case s.effective(load) >= s.threshold:
		return "load"
	}
	s.reserved++
	return ""
}

// effective is the load with what the reserved jobs will add, as far as one can know.
func (s *slots) effective(load float64) float64 {
	switch {
	case s.reserved == 0 || math.IsInf(s.threshold, 1):
		return load
	case s.running >= meanJobs:
		return load + float64(s.reserved)*load/float64(s.running)
	}
	return load + float64(s.reserved)*s.threshold/float64(max(s.expected, 1))
}

// share is the load that the jobs are by their number. All of them together are the load at which the worker, or the
// server, calls it full, so that the last one can still be given.
func (s *slots) share() float64 {
	if s.max == 0 {
		return 0
	}
	return min(s.threshold, serverTargetLoad) * float64(s.running) / float64(s.max)
}

// full says whether the worker can take no job at this load.
func (s *slots) full(load float64) bool {
	return s.draining || s.max > 0 && s.running+s.reserved >= s.max || s.effective(load) >= s.threshold
}

// reported is the load that the server is told.
func (s *slots) reported(load float64) float64 {
	if math.IsInf(s.threshold, 1) {
		return min(load, unlimitedLoad)
	}
	return load
}

func (s *slots) launch()  { s.reserved--; s.running++ }
func (s *slots) release() { s.reserved-- }
func (s *slots) end()     { s.running-- }
