import { serde, store, topic, topology } from 'millrace';

interface Employee {
  readonly team: string;
  readonly salary: number;
}
export const employees = topic('employees', { key: serde.string(), value: serde.json<Employee>() });
export const teamSizes = topic('team-sizes', { key: serde.string(), value: serde.safeInt() });
export const payroll = store.keyValue('payroll', { key: serde.string(), value: serde.safeInt() });

export default topology('regrouped', (t) => {
  // The rows of the table under another key. Who changes teams leaves the old one before entering the new one.
  const byTeam = t.table(employees).groupBy((employee) => ({ key: employee.team, value: employee.salary }), { as: 'by-team' });
  byTeam.count().toStream().to(teamSizes);
  byTeam.aggregate({ initial: () => 0, add: (sum, salary) => sum + salary, subtract: (sum, salary) => sum - salary, store: payroll });
});
